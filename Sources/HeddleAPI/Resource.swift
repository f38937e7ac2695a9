package import KubeCore

/// A type whose JSON form is described by a schema: the schema is published in the CRD, supplies the defaults, and
/// reports what does not fit.
package protocol SchemaDescribed: Codable, Sendable, Hashable {
    static var schema: Schema { get }
}

extension SchemaDescribed {
    /// Reads a value: fills in the schema's defaults, checks it against the schema, then decodes.
    /// - Parameter path: Where the value is in its object, for messages, e.g. `spec`.
    /// - Throws: the first `FieldError`.
    package static func read(_ json: JSONValue, at path: String) throws(FieldError) -> Self {
        let complete = schema.applyingDefaults(to: json)
        if let first = schema.validate(complete, at: path).first { throw first }
        do throws(FieldError) {
            return try complete.decode(Self.self)
        } catch {
            throw FieldError(path: error.path.isEmpty ? path : "\(path).\(error.path)", message: error.message)
        }
    }

    /// The value's JSON form. Heddle's own types always have one.
    package var json: JSONValue { (try? JSONValue(encoding: self)) ?? [:] }
}

/// What a custom resource asks for.
package protocol ResourceSpec: SchemaDescribed {
    static var resource: GroupVersionResource { get }

    /// Rules over several fields, which a schema cannot say. Each error names the path, what is wrong and what to do.
    func validate() -> [FieldError]
}

/// One object of a kind of ours: its typed spec and status, and the object as it came, with all that we do not know.
package struct Resource<Spec: ResourceSpec, Status: SchemaDescribed>: Sendable, Hashable {
    /// As the API server sent it.
    package var object: KubeObject
    package var spec: Spec
    package var status: Status

    /// Reads an object, with defaults applied, whether or not the API server did so.
    /// - Throws: the first field that does not fit the schema or breaks a rule; `problems(in:)` has all of them.
    package init(_ object: KubeObject) throws(FieldError) {
        let spec = try Spec.read(object.json["spec"] ?? [:], at: "spec")
        if let first = spec.validate().first { throw first }
        self.object = object
        self.spec = spec
        status = try Status.read(object.json["status"] ?? [:], at: "status")
    }

    /// A new object.
    package init(namespace: String? = nil, name: String, spec: Spec, status: Status) {
        var object = KubeObject(Spec.resource, namespace: namespace, name: name)
        object.spec = spec.json
        self.object = object
        self.spec = spec
        self.status = status
    }

    package static var resource: GroupVersionResource { Spec.resource }

    /// Everything that is wrong with an object's spec: the schema's findings, or the cross-field rules' if it has none.
    package static func problems(in object: KubeObject) -> [FieldError] {
        let complete = Spec.schema.applyingDefaults(to: object.json["spec"] ?? [:])
        let findings = Spec.schema.validate(complete, at: "spec")
        if !findings.isEmpty { return findings }
        do throws(FieldError) {
            return try Spec.read(complete, at: "spec").validate()
        } catch {
            return [error]
        }
    }

    package var name: String { object.name }
    package var namespace: String { object.namespace }
    package var key: ObjectKey { object.key }
    package var generation: Int { object.generation }

    /// The object with `status` written back: what a status update sends.
    package var objectWithStatus: KubeObject {
        var object = object
        object.status = status.json
        return object
    }

    /// Whether `status` differs from what the API server has; when not, nothing need be written.
    package var hasStatusChanges: Bool {
        guard let old = try? Status.read(object.json["status"] ?? [:], at: "status") else { return true }
        return old != status
    }
}

package typealias Mesh = Resource<MeshSpec, MeshStatus>
package typealias Adoption = Resource<AdoptionSpec, AdoptionStatus>
package typealias Canary = Resource<CanarySpec, CanaryStatus>
package typealias ServicePolicy = Resource<ServicePolicySpec, ServicePolicyStatus>
package typealias MetricTemplate = Resource<MetricTemplateSpec, MetricTemplateStatus>

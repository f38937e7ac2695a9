import KubeCore

/// Checks what users get wrong in built-in objects. A real API server checks much more; what passes here may be refused
/// there.
struct Validation {
    private(set) var errors: [FieldError] = []

    /// - Parameter old: the object before, for fields that may not change.
    static func check(_ object: JSONValue, old: JSONValue?, _ type: ResourceType) -> [FieldError] {
        var validation = Validation()
        validation.metadata(object, type)
        validation.owners(object[path: "metadata", "ownerReferences"])
        if let old { validation.finalizers(object, old: old) }
        let spec = object["spec"] ?? [:]
        switch type.qualifiedName {
        case "pods":
            validation.podSpec(spec, at: "spec")
            if let old { validation.podUpdate(spec, old["spec"] ?? [:]) }
        case "deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps":
            validation.workload(spec, old: old?["spec"])
        case "services": validation.service(spec, old: old?["spec"])
        case "jobs.batch":
            validation.podSpec(spec[path: "template", "spec"] ?? [:], at: "spec.template.spec")
        case "configmaps":
            for field in ["data", "binaryData"] { validation.dataKeys(object[field], at: field) }
        case "secrets":
            validation.dataKeys(object["data"], at: "data")
            validation.base64(object["data"], at: "data")
        case "leases.coordination.k8s.io":
            for field in ["leaseDurationSeconds", "leaseTransitions"] {
                let least = field == "leaseDurationSeconds" ? 1 : 0
                if let number = spec[field]?.int, number < least {
                    validation.invalid(
                        "spec.\(field)", .int(number), "must be greater than \(least == 1 ? "" : "or equal to ")0")
                }
            }
        case "rolebindings.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io":
            if let old, old["roleRef"] != object["roleRef"] {
                validation.invalid("roleRef", object["roleRef"], "cannot change roleRef")
            }
        case "customresourcedefinitions.apiextensions.k8s.io": validation.definition(object)
        case "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            "validatingwebhookconfigurations.admissionregistration.k8s.io":
            validation.webhooks(object)
        default: break
        }
        return validation.errors
    }

    private mutating func fail(_ path: String, _ message: String) {
        errors.append(FieldError(path: path, message: message))
    }
    private mutating func require(_ path: String) { fail(path, "Required value") }
    private mutating func invalid(_ path: String, _ value: JSONValue?, _ why: String) {
        fail(path, "Invalid value: \((value ?? .null).serialized()): \(why)")
    }

    // MARK: - Metadata

    private mutating func metadata(_ object: JSONValue, _ type: ResourceType) {
        let name = object[path: "metadata", "name"]?.string ?? ""
        if name.isEmpty {
            fail("metadata.name", "Required value: name or generateName is required")
        } else if type.group == "rbac.authorization.k8s.io" {
            if !NameRules.isPathSegment(name) { invalid("metadata.name", .string(name), "may not contain '/' or '%'") }
        } else if ["namespaces", "services"].contains(type.qualifiedName) {
            if !NameRules.isLabel(name) { invalid("metadata.name", .string(name), NameRules.labelMessage) }
        } else if !NameRules.isSubdomain(name) {
            invalid("metadata.name", .string(name), NameRules.subdomainMessage)
        }
        for (key, value) in (object[path: "metadata", "labels"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            label(key, value, at: "metadata.labels")
        }
        for (key, value) in object[path: "metadata", "annotations"]?.object ?? [:] {
            if !NameRules.isQualifiedName(key) {
                invalid("metadata.annotations", .string(key), NameRules.qualifiedNameMessage)
            }
            if value.string == nil { invalid("metadata.annotations[\(key)]", value, "must be a string") }
        }
        for finalizer in object[path: "metadata", "finalizers"]?.array?.compactMap(\.string) ?? []
        where !NameRules.isQualifiedName(finalizer) {
            invalid("metadata.finalizers", .string(finalizer), NameRules.qualifiedNameMessage)
        }
    }

    private mutating func owners(_ references: JSONValue?) {
        let at = "metadata.ownerReferences"
        for reference in references?.array ?? [] {
            for name in ["apiVersion", "kind", "name", "uid"] where (reference[name]?.string ?? "").isEmpty {
                invalid("\(at).\(name)", reference[name] ?? "", "must not be empty")
            }
        }
        let controllers = (references?.array ?? []).filter { $0["controller"] == true }
        if controllers.count > 1 {
            invalid(at, references, "Only one reference can have Controller set to true")
        }
    }

    /// An object that is being deleted may lose finalizers, not gain them.
    private mutating func finalizers(_ object: JSONValue, old: JSONValue) {
        guard old[path: "metadata", "deletionTimestamp"]?.string != nil else { return }
        func names(_ object: JSONValue) -> Set<String> {
            Set(object[path: "metadata", "finalizers"]?.array?.compactMap(\.string) ?? [])
        }
        let added = names(object).subtracting(names(old)).sorted()
        if !added.isEmpty {
            fail(
                "metadata.finalizers",
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers \(added)"
            )
        }
    }

    private mutating func label(_ key: String, _ value: JSONValue, at path: String) {
        if !NameRules.isQualifiedName(key) { invalid(path, .string(key), NameRules.qualifiedNameMessage) }
        if !(value.string.map(NameRules.isLabelValue) ?? false) { invalid(path, value, NameRules.labelValueMessage) }
    }

    // MARK: - Workloads

    private mutating func workload(_ spec: JSONValue, old: JSONValue?) {
        if let replicas = spec["replicas"] {
            if let count = replicas.int {
                if count < 0 { invalid("spec.replicas", replicas, "must be greater than or equal to 0") }
            } else {
                invalid("spec.replicas", replicas, "must be an integer")
            }
        }
        let template = spec["template"] ?? [:]
        guard let selector = spec["selector"], let parsed = try? selector.decode(LabelSelector.self), !parsed.isEmpty
        else {
            return require("spec.selector")
        }
        let labels = template[path: "metadata", "labels"]?.stringMap ?? [:]
        if !parsed.matches(labels) {
            invalid(
                "spec.template.metadata.labels", JSONValue(labels), "`selector` does not match template `labels`")
        }
        if let old, let before = old["selector"], before != selector {
            invalid("spec.selector", selector, "field is immutable")
        }
        podSpec(template["spec"] ?? [:], at: "spec.template.spec")
    }

    private mutating func podSpec(_ spec: JSONValue, at path: String) {
        if (spec["containers"]?.array ?? []).isEmpty { require("\(path).containers") }
        let volumes = Set((spec["volumes"]?.array ?? []).compactMap { $0["name"]?.string })
        var names: Set<String> = []
        for list in ["initContainers", "containers"] {
            for (index, container) in (spec[list]?.array ?? []).enumerated() {
                let at = "\(path).\(list)[\(index)]"
                let name = container["name"]?.string ?? ""
                if name.isEmpty {
                    require("\(at).name")
                } else if !NameRules.isLabel(name) {
                    invalid("\(at).name", .string(name), NameRules.labelMessage)
                } else if !names.insert(name).inserted {
                    fail("\(at).name", "Duplicate value: \"\(name)\"")
                }
                if (container["image"]?.string ?? "").isEmpty { require("\(at).image") }
                self.container(container, volumes: volumes, at: at)
            }
        }
        if let policy = spec["restartPolicy"], !["Always", "OnFailure", "Never"].contains(policy.string) {
            fail(
                "\(path).restartPolicy",
                "Unsupported value: \(policy.serialized()): supported values: \"Always\", \"Never\", \"OnFailure\"")
        }
    }

    private mutating func container(_ container: JSONValue, volumes: Set<String>, at path: String) {
        for (index, port) in (container["ports"]?.array ?? []).enumerated() {
            let number = port["containerPort"]
            if !(number?.int.map { (1...65535).contains($0) } ?? false) {
                invalid("\(path).ports[\(index)].containerPort", number, "must be between 1 and 65535, inclusive")
            }
        }
        for (index, mount) in (container["volumeMounts"]?.array ?? []).enumerated() {
            let at = "\(path).volumeMounts[\(index)]"
            if (mount["mountPath"]?.string ?? "").isEmpty { require("\(at).mountPath") }
            let name = mount["name"]?.string ?? ""
            if !volumes.contains(name) { fail("\(at).name", "Not found: \"\(name)\"") }
        }
        for (index, variable) in (container["env"]?.array ?? []).enumerated() {
            let at = "\(path).env[\(index)]"
            if (variable["name"]?.string ?? "").isEmpty { require("\(at).name") }
            if let value = variable["value"], value.string == nil, !value.isNull {
                invalid("\(at).value", value, "must be a string")
            }
        }
    }

    private mutating func podUpdate(_ spec: JSONValue, _ old: JSONValue) {
        // Images, deadlines, tolerations and the node (once) may change; the rest of a pod is fixed.
        func fixed(_ spec: JSONValue) -> JSONValue {
            var spec = spec
            for name in [
                "activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName", "schedulingGates",
                "ephemeralContainers", "resources",
            ] { spec[name] = nil }
            for list in ["containers", "initContainers"] {
                spec.changeEach(list) { container in
                    container["image"] = nil
                    container["imagePullPolicy"] = nil
                    container["resources"] = nil
                }
            }
            return spec
        }
        let isRebound = (old["nodeName"]?.string ?? "").isEmpty == false && old["nodeName"] != spec["nodeName"]
        if isRebound || fixed(spec) != fixed(old) {
            fail(
                "spec",
                "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
                    + "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations`,"
                    + "`spec.terminationGracePeriodSeconds`")
        }
    }

    // MARK: - Others

    private mutating func service(_ spec: JSONValue, old: JSONValue?) {
        let ports = spec["ports"]?.array ?? []
        let isHeadless = spec["clusterIP"]?.string == "None"
        if ports.isEmpty, !isHeadless, spec["type"] != "ExternalName" { require("spec.ports") }
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let at = "spec.ports[\(index)]"
            if !(port["port"]?.int.map { (1...65535).contains($0) } ?? false) {
                invalid("\(at).port", port["port"], "must be between 1 and 65535, inclusive")
            }
            let name = port["name"]?.string ?? ""
            if ports.count > 1, name.isEmpty { require("\(at).name") }
            if !name.isEmpty, !NameRules.isLabel(name) { invalid("\(at).name", .string(name), NameRules.labelMessage) }
            if !name.isEmpty, !names.insert(name).inserted { fail("\(at).name", "Duplicate value: \"\(name)\"") }
        }
        if let before = old?["clusterIP"]?.string, !before.isEmpty, spec["clusterIP"]?.string != before,
            spec["type"] != "ExternalName"
        {
            invalid("spec.clusterIP", spec["clusterIP"], "may not change once set")
        }
    }

    private mutating func dataKeys(_ data: JSONValue?, at path: String) {
        for (key, _) in data?.object ?? [:] where !NameRules.isDataKey(key) {
            invalid(
                "\(path)[\(key)]", .string(key),
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'")
        }
    }

    private mutating func base64(_ data: JSONValue?, at path: String) {
        for (key, value) in data?.object ?? [:] where value.string.flatMap(Base64.decode) == nil {
            fail("\(path)[\(key)]", "Invalid value: the value is not base64; plain text belongs in stringData")
        }
    }

    private mutating func definition(_ object: JSONValue) {
        let spec = object["spec"] ?? [:]
        let group = spec["group"]?.string ?? ""
        let plural = spec[path: "names", "plural"]?.string ?? ""
        if group.isEmpty { require("spec.group") }
        if plural.isEmpty { require("spec.names.plural") }
        if (spec[path: "names", "kind"]?.string ?? "").isEmpty { require("spec.names.kind") }
        let name = object[path: "metadata", "name"]?.string ?? ""
        if name != "\(plural).\(group)" {
            invalid("metadata.name", .string(name), "must be spec.names.plural+\".\"+spec.group")
        }
        if !["Cluster", "Namespaced"].contains(spec["scope"]?.string) {
            fail(
                "spec.scope",
                "Unsupported value: \((spec["scope"] ?? "").serialized()): supported values: \"Cluster\", \"Namespaced\""
            )
        }
        let versions = spec["versions"]?.array ?? []
        if versions.filter({ $0["storage"] == true }).count != 1 {
            invalid("spec.versions", nil, "must have exactly one version marked as storage version")
        }
        for (index, version) in versions.enumerated() where version[path: "schema", "openAPIV3Schema"] == nil {
            require("spec.versions[\(index)].schema.openAPIV3Schema")
        }
        if spec[path: "conversion", "strategy"] == "Webhook" {
            fail(
                "spec.conversion.strategy",
                "Unsupported value: \"Webhook\": the sandbox converts with strategy None only")
        }
    }

    private mutating func choice(_ value: JSONValue?, of allowed: [String], at path: String) {
        guard let value, !allowed.contains(value.string ?? "") else { return }
        let list = allowed.map { "\"\($0)\"" }.joined(separator: ", ")
        fail(path, "Unsupported value: \(value.serialized()): supported values: \(list)")
    }

    private mutating func webhooks(_ object: JSONValue) {
        for (index, hook) in (object["webhooks"]?.array ?? []).enumerated() {
            let at = "webhooks[\(index)]"
            if (hook["name"]?.string ?? "").split(separator: ".").count < 3 {
                invalid("\(at).name", hook["name"], "should be a domain with at least three segments separated by dots")
            }
            if !["None", "NoneOnDryRun"].contains(hook["sideEffects"]?.string) {
                fail(
                    "\(at).sideEffects",
                    "Unsupported value: \((hook["sideEffects"] ?? .null).serialized()): supported values: \"None\", \"NoneOnDryRun\""
                )
            }
            choice(hook["failurePolicy"], of: ["Fail", "Ignore"], at: "\(at).failurePolicy")
            choice(hook["matchPolicy"], of: ["Equivalent", "Exact"], at: "\(at).matchPolicy")
            if let seconds = hook["timeoutSeconds"]?.int, !(1...30).contains(seconds) {
                invalid("\(at).timeoutSeconds", .int(seconds), "the timeout value must be between 1 and 30 seconds")
            }
            if !(hook["admissionReviewVersions"]?.array ?? []).contains("v1") {
                invalid("\(at).admissionReviewVersions", hook["admissionReviewVersions"], "must include v1")
            }
        }
    }
}

package import KubeCore

/// What the API server asks an admission webhook (`admission.k8s.io/v1`).
package struct AdmissionRequest: Sendable {
    package var uid: String
    /// `CREATE`, `UPDATE` or `DELETE`.
    package var operation: String
    package var namespace: String
    /// The object as it is to become; a pod of a ReplicaSet has no name yet.
    package var object: KubeObject
    package var oldObject: KubeObject?
    /// Who asks.
    package var userName: String
    package var isDryRun: Bool

    /// Reads an AdmissionReview.
    /// - Throws: `FieldError` when it is none.
    package init(review: JSONValue) throws(FieldError) {
        guard let request = review["request"], let uid = request["uid"]?.string else {
            throw FieldError(path: "request.uid", message: "is required: this is not an AdmissionReview")
        }
        self.uid = uid
        operation = request["operation"]?.string ?? ""
        namespace = request["namespace"]?.string ?? ""
        object = KubeObject(json: request["object"] ?? .null)
        if object.namespace.isEmpty, !namespace.isEmpty, object.json.object != nil { object.namespace = namespace }
        oldObject = request["oldObject"].flatMap { $0.isNull ? nil : KubeObject(json: $0) }
        userName = request[path: "userInfo", "username"]?.string ?? ""
        isDryRun = request["dryRun"]?.bool ?? false
    }
}

/// What a webhook answers.
package struct AdmissionResponse: Sendable, Hashable {
    package var isAllowed = true
    /// Shown by kubectl, allowed or not.
    package var warnings: [String] = []
    /// Why it is refused.
    package var message: String?
    /// JSON Patch operations on the object as it was sent.
    package var patch: JSONValue?

    package static let allowed = AdmissionResponse()

    package static func denied(_ message: String) -> Self { AdmissionResponse(isAllowed: false, message: message) }

    /// Allows the object in a changed form.
    package static func changed(from old: KubeObject, to new: KubeObject) -> Self {
        AdmissionResponse(patch: old == new ? nil : JSONPatch.diff(from: old.json, to: new.json))
    }

    /// As the AdmissionReview to send back.
    package func review(uid: String) -> JSONValue {
        var response: JSONValue = ["uid": .string(uid), "allowed": .bool(isAllowed)]
        if !warnings.isEmpty { response["warnings"] = JSONValue(warnings) }
        if let message {
            // Forbidden, as kubectl prints the message of that; of `Invalid` it prints the causes only.
            response["status"] = ["message": .string(message), "code": 403, "reason": "Forbidden"]
        }
        if let patch, patch.array?.isEmpty == false {
            response["patchType"] = "JSONPatch"
            response["patch"] = .string(Base64.encode(patch.serializedBytes()))
        }
        return ["apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response]
    }
}

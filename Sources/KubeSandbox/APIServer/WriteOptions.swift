import KubeCore

/// The query parameters of a write.
struct WriteOptions: Sendable {
    enum FieldValidation: String, Sendable {
        case ignore = "Ignore"
        case warn = "Warn"
        case strict = "Strict"
    }

    var isDryRun: Bool
    var fieldManager: String
    var isForced: Bool
    /// The subresource in whose name the main object is changed: `scale`.
    var actingSubresource: String?
    /// What happens to fields that a custom resource's schema does not know. Built-in kinds are not checked.
    var fieldValidation: FieldValidation

    init(_ request: APIRequest, caller: Caller) throws(APIError) {
        isDryRun = try Self.isDryRun(request)
        isForced = request.query["force"].isTrue
        fieldValidation = try Self.validation(request.query["fieldValidation"])
        // Without a name, the part of the user agent before the first slash stands for the writer.
        let agent = caller.userAgent.prefix { $0 != "/" }
        let fallback = agent.isEmpty ? "unknown" : String(agent)
        fieldManager = request.query["fieldManager"].flatMap { $0.isEmpty ? nil : $0 } ?? fallback
    }

    /// From the query or, of a deletion, from the options in its body.
    private static func isDryRun(_ request: APIRequest) throws(APIError) -> Bool {
        var stages = request.query["dryRun"].map { $0.isEmpty ? [] : [$0] } ?? []
        if request.verb == .delete || request.verb == .deleteCollection {
            stages += request.body?["dryRun"]?.array?.compactMap(\.string) ?? []
        }
        guard stages.allSatisfy({ $0 == "All" }) else { throw .invalidOptions(request, "dryRun", stages) }
        return !stages.isEmpty
    }

    private static func validation(_ text: String?) throws(APIError) -> FieldValidation {
        guard let text, !text.isEmpty else { return .warn }
        guard let validation = FieldValidation(rawValue: text) else {
            throw APIError(
                code: 422, reason: "Invalid",
                message:
                    "Options.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"\(text)\": supported"
                    + " values: \"Ignore\", \"Strict\", \"Warn\"",
                causes: [FieldError(path: "fieldValidation", message: "Unsupported value: \"\(text)\"")])
        }
        return validation
    }
}

extension APIRequest {
    /// The kind of a write's options.
    var optionsKind: String {
        switch verb {
        case .create: "CreateOptions"
        case .update: "UpdateOptions"
        case .patch: "PatchOptions"
        default: "DeleteOptions"
        }
    }
}

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
    /// What happens to fields that a custom resource's schema does not know. Built-in kinds are not checked.
    var fieldValidation: FieldValidation

    init(_ request: APIRequest, caller: Caller) throws(APIError) {
        isDryRun = request.query["dryRun"].map { !$0.isEmpty } ?? false
        if isDryRun, request.query["dryRun"] != "All" {
            throw .badRequest("Invalid value: \"\(request.query["dryRun"] ?? "")\": dryRun must be All")
        }
        isForced = request.query["force"].isTrue
        fieldValidation = try Self.validation(request.query["fieldValidation"])
        // Without a name, the part of the user agent before the first slash stands for the writer.
        let agent = caller.userAgent.prefix { $0 != "/" }
        let fallback = agent.isEmpty ? "unknown" : String(agent)
        fieldManager = request.query["fieldManager"].flatMap { $0.isEmpty ? nil : $0 } ?? fallback
    }

    private static func validation(_ text: String?) throws(APIError) -> FieldValidation {
        guard let text, !text.isEmpty else { return .warn }
        guard let validation = FieldValidation(rawValue: text) else {
            throw .badRequest("fieldValidation: Unsupported value: \"\(text)\": supported values: Ignore, Strict, Warn")
        }
        return validation
    }
}

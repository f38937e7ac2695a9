/// What a write may ask of the API server beside its object.
package struct WriteOptions: Sendable, Hashable {
    /// What the server does with fields that the kind does not have, and with duplicate ones. Servers before 1.25 do
    /// not know this and ignore it.
    package enum FieldValidation: String, Sendable {
        case ignore = "Ignore"
        /// The client logs the server's warnings. The default of servers.
        case warn = "Warn"
        /// Refused as `BadRequest`.
        case strict = "Strict"
    }

    /// Run admission and validation, store nothing.
    package var isDryRun: Bool
    package var fieldValidation: FieldValidation?
    /// Who is said to own the fields; apply has its own parameter for it.
    package var fieldManager: String?

    package init(isDryRun: Bool = false, fieldValidation: FieldValidation? = nil, fieldManager: String? = nil) {
        self.isDryRun = isDryRun
        self.fieldValidation = fieldValidation
        self.fieldManager = fieldManager
    }

    package var query: [String: String] {
        var query: [String: String] = [:]
        if isDryRun { query["dryRun"] = "All" }
        query["fieldValidation"] = fieldValidation?.rawValue
        query["fieldManager"] = fieldManager
        return query
    }
}

extension Schema {
    /// A CEL rule of the API server, at the schema that it is attached to. Its Swift twin is in the spec's `validate()`.
    package struct Rule: Sendable, Hashable {
        /// What a client may make of the refusal, as in `status.details.causes`. The API server's fourth,
        /// `FieldValueDuplicate`, loses the message on its way.
        package enum Reason: String, Sendable {
            case invalid = "FieldValueInvalid"
            case required = "FieldValueRequired"
            case forbidden = "FieldValueForbidden"
        }

        /// The expression; it must be true. Where a default holds the value, the API server evaluates it on the default as
        /// written, without the defaults below it: guard members that have defaults of their own with `has()`.
        package var rule: String
        /// What is wrong and what to do.
        package var message: String
        /// An expression whose text takes the message's place; where it fails, `message` is shown.
        package var messageExpression: String?
        /// The member that the refusal names, such as `.deadline`; nil: the schema itself.
        package var fieldPath: String?
        package var reason: Reason

        package init(
            _ rule: String, _ message: String, messageExpression: String? = nil, at fieldPath: String? = nil,
            reason: Reason = .invalid
        ) {
            self.rule = rule
            self.message = message
            self.messageExpression = messageExpression
            self.fieldPath = fieldPath
            self.reason = reason
        }
    }
}

import KubeCore

/// The API server's refusals, worded as a real one words them.
extension APIError {
    static func badRequest(_ message: String) -> Self { .init(code: 400, reason: "BadRequest", message: message) }
    static func forbidden(_ message: String) -> Self { .init(code: 403, reason: "Forbidden", message: message) }
    static func expired(_ message: String) -> Self { .init(code: 410, reason: "Expired", message: message) }
    static func internalError(_ message: String) -> Self {
        .init(code: 500, reason: "InternalError", message: "Internal error occurred: \(message)")
    }
    static func unsupportedMediaType(_ message: String) -> Self {
        .init(code: 415, reason: "UnsupportedMediaType", message: message)
    }
    static func methodNotAllowed(_ message: String) -> Self {
        .init(code: 405, reason: "MethodNotAllowed", message: message)
    }
    static func noSuchResource() -> Self {
        .init(code: 404, reason: "NotFound", message: "the server could not find the requested resource")
    }

    static func alreadyExists(_ type: ResourceType, _ name: String) -> Self {
        .init(code: 409, reason: "AlreadyExists", message: "\(type.qualifiedName) \"\(name)\" already exists")
    }

    static func missing(_ type: ResourceType, _ name: String) -> Self {
        .init(code: 404, reason: "NotFound", message: "\(type.qualifiedName) \"\(name)\" not found")
    }

    static func modified(_ type: ResourceType, _ name: String) -> Self {
        conflict(
            type, name,
            "the object has been modified; please apply your changes to the latest version and try again")
    }

    static func conflict(_ type: ResourceType, _ name: String, _ why: String) -> Self {
        .init(
            code: 409, reason: "Conflict",
            message: "Operation cannot be fulfilled on \(type.qualifiedName) \"\(name)\": \(why)")
    }

    /// 422 for a request's options.
    static func invalidOptions(_ request: APIRequest, _ field: String, _ values: [String]) -> Self {
        let why =
            "Unsupported value: [" + values.map { "\"\($0)\"" }.joined(separator: ",") + "]: supported values: \"All\""
        return .init(
            code: 422, reason: "Invalid",
            message: "\(request.optionsKind).meta.k8s.io \"\" is invalid: \(field): \(why)",
            causes: [FieldError(path: field, message: why)])
    }

    /// 422 with one cause a field error.
    static func invalid(_ type: ResourceType, _ name: String, _ errors: [FieldError]) -> Self {
        let shown = errors.map(\.description)
        let text = shown.count == 1 ? shown[0] : "[" + shown.joined(separator: ", ") + "]"
        let kind = type.group.isEmpty ? type.kind : "\(type.kind).\(type.group)"
        return .init(
            code: 422, reason: "Invalid", message: "\(kind) \"\(name)\" is invalid: \(text)", causes: errors)
    }
}

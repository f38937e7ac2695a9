import KubeCore

/// Where a list begins: at which moment, and after which object.
struct ListStart: Sendable {
    /// Nil: now.
    var revision: Int?
    /// The last object of the page before.
    var after: ObjectKey?

    init(revision: Int?, after: ObjectKey?) {
        self.revision = revision
        self.after = after
    }

    /// Reads `continue`, `resourceVersion` and `resourceVersionMatch`.
    /// - Parameter now: the store's revision.
    /// - Throws: `BadRequest`, `Invalid`, and `Timeout` for a version that is still to come.
    init(_ request: APIRequest, _ type: ResourceType, now: Int) throws(APIError) {
        let version = request.query["resourceVersion"] ?? ""
        let match = request.query["resourceVersionMatch"] ?? ""
        let token = request.query["continue"] ?? ""
        if !match.isEmpty { try Self.check(match, version: version, token: token, request, type) }
        if !token.isEmpty {
            guard let start = Self(token: token) else {
                throw .badRequest("continue key is not valid: it is not one that this server gave")
            }
            if !version.isEmpty, version != "0" {
                throw .badRequest("specifying resource version is not allowed when using continue")
            }
            self = start
            return
        }
        self.init(revision: nil, after: nil)
        if version.isEmpty { return }
        guard let asked = Int(version), asked >= 0 else {
            throw .invalid(
                type, "",
                [FieldError(path: "resourceVersion", message: "Invalid value: \"\(version)\": must be a number")])
        }
        if asked > now {
            throw APIError(
                code: 504, reason: "Timeout", message: "Too large resource version: \(asked), current: \(now)",
                retryAfterSeconds: 1)
        }
        // Any other version means: not older than that, and now is not.
        if match == "Exact" { revision = asked }
    }

    private static func check(
        _ match: String, version: String, token: String, _ request: APIRequest, _ type: ResourceType
    ) throws(APIError) {
        var why: String?
        if !token.isEmpty {
            why = "Forbidden: resourceVersionMatch is forbidden when continue is provided"
        } else if version.isEmpty {
            why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        } else if match != "Exact", match != "NotOlderThan" {
            why = "Unsupported value: \"\(match)\": supported values: \"Exact\", \"NotOlderThan\""
        } else if match == "Exact", version == "0" {
            why = "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""
        }
        if let why { throw .invalid(type, "", [FieldError(path: "resourceVersionMatch", message: why)]) }
    }

    // MARK: - Token

    var token: String {
        let mark: JSONValue = [
            .int(revision ?? -1), .string(after?.namespace ?? ""), .string(after?.name ?? ""),
        ]
        return Base64.encodeURL(mark.serializedBytes())
    }

    private init?(token: String) {
        guard let bytes = Base64.decodeURL(token), let mark = try? JSONValue.parse(bytes), let revision = mark[0]?.int,
            let namespace = mark[1]?.string, let name = mark[2]?.string
        else { return nil }
        self.init(revision: revision < 0 ? nil : revision, after: ObjectKey(namespace: namespace, name: name))
    }
}

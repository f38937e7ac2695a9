/// A request that the API server refused, or that did not reach it.
package struct APIError: Error, Sendable, Hashable, CustomStringConvertible {
    /// HTTP status; 0 when no response arrived.
    package var code: Int
    /// Kubernetes' reason: `NotFound`, `Conflict`, `Invalid`, `Expired`, ...
    package var reason: String
    package var message: String
    /// Field errors of an `Invalid` answer, and owners of conflicting fields of a `Conflict`.
    package var causes: [FieldError]
    /// What the server asked to wait before a new try, in seconds.
    package var retryAfterSeconds: Int?
    /// With `Expired` in the middle of a list: goes on with the rest as it is now, not as it was when the list began.
    package var continueToken: String?
    /// The request has had no effect on the cluster for certain, whatever its verb: it never left, or was turned away
    /// before it was looked at.
    package var isUnprocessed = false

    package init(code: Int, reason: String, message: String, causes: [FieldError] = [], retryAfterSeconds: Int? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// Reads a `Status` object.
    package init(status: JSONValue, httpCode: Int) {
        self.init(
            code: status["code"]?.int ?? httpCode, reason: status["reason"]?.string ?? "Unknown",
            message: status["message"]?.string ?? "the API server answered \(httpCode)",
            causes: (status[path: "details", "causes"]?.array ?? []).map {
                FieldError(path: $0["field"]?.string ?? "", message: $0["message"]?.string ?? "")
            },
            retryAfterSeconds: status[path: "details", "retryAfterSeconds"]?.int)
        continueToken = status[path: "metadata", "continue"]?.string.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// As a `Status` object, for servers.
    package var status: JSONValue {
        var details: JSONValue = [:]
        if !causes.isEmpty {
            details["causes"] = .array(
                causes.map {
                    ["field": .string($0.path), "message": .string($0.message), "reason": "FieldValueInvalid"]
                })
        }
        if let retryAfterSeconds { details["retryAfterSeconds"] = .int(retryAfterSeconds) }
        return [
            "apiVersion": "v1", "kind": "Status",
            "metadata": continueToken.map { ["continue": .string($0)] } ?? [:], "status": "Failure", "code": .int(code),
            "reason": .string(reason), "message": .string(message), "details": details,
        ]
    }

    package var isNotFound: Bool { code == 404 }
    package var isConflict: Bool { code == 409 && reason != "AlreadyExists" }
    package var isAlreadyExists: Bool { code == 409 && reason == "AlreadyExists" }
    package var isForbidden: Bool { code == 403 }
    package var isInvalid: Bool { code == 422 }
    /// The resource version is too old: list again.
    package var isExpired: Bool { code == 410 }
    /// Worth another try later, unchanged: no answer, overload, or a server fault.
    package var isRetryable: Bool { code == 0 || code == 429 || code >= 500 }

    package var description: String {
        code == 0 ? "no answer from the API server: \(message)" : "\(reason) (\(code)): \(message)"
    }

    package static func notFound(_ resource: GroupVersionResource, _ name: String) -> Self {
        .init(code: 404, reason: "NotFound", message: "\(resource) \"\(name)\" not found")
    }
}

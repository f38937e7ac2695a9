import KubeCore
import NIOCore
import NIOHTTP1

/// One call as HTTP carries it: an `APIRequest`, or a path of the API server's own such as discovery.
struct HTTPCall: Sendable {
    /// Whether sending again can do harm.
    enum Repetition: Sendable {
        /// A second time changes nothing, or conflicts.
        case harmless
        /// Only when the first time had no effect for certain.
        case whenUnprocessed
    }

    var method: HTTPMethod
    /// With the query.
    var target: String
    var accept = "application/json"
    var contentType = "application/json"
    var body: ByteBuffer?
    var repetition: Repetition
    /// 429 is an answer to this, not a refusal for now.
    var isAnsweredBy429 = false
    /// Must not wait for others: leader election.
    var isUrgent = false
    var timeout: Duration?
    /// As in RBAC, for metrics and messages.
    var verb: String
    /// `pods`, `deployments.apps/status`: for metrics.
    var resource: String

    /// What was asked, for messages.
    var name: String

    /// A read of a path that is no resource's.
    init(get path: String, query: [String: String] = [:], accept: String = "application/json", resource: String) {
        method = .GET
        target = path + Self.queryString(query)
        self.accept = accept
        repetition = .harmless
        verb = "get"
        self.resource = resource
        name = "get \(path)"
    }

    /// - Throws: `APIError` of code 400 for a name that cannot stand in a path.
    init(_ request: APIRequest) throws(APIError) {
        for segment in [request.namespace, request.name].compactMap({ $0 }) {
            if segment == "." || segment == ".." || segment.contains("/") || segment.contains("%") {
                throw APIError(
                    code: 400, reason: "BadRequest", message: "'\(segment)' cannot be the name of an object")
            }
        }
        if request.name == "" {
            throw APIError(
                code: 400, reason: "BadRequest",
                message: "\(request.verb.rbacName) \(request.resource): the name is empty")
        }
        method = request.method
        target = Self.encoded(request.path, keeping: "/:@!$&'()*+,;=") + Self.queryString(request.query)
        if case .patch(let type) = request.verb { contentType = type.rawValue }
        body = request.body.map { ByteBuffer(bytes: $0.serializedBytes()) }
        repetition = request.repetition
        isAnsweredBy429 = request.subresource == "eviction"
        isUrgent = request.resource.group == "coordination.k8s.io"
        timeout = request.timeout
        verb = request.verb.rbacName
        resource = request.resource.description + (request.subresource.map { "/\($0)" } ?? "")
        name = "\(request.verb.rbacName) \(request.path)"
    }

    /// `?a=b&c=d`, sorted by name; empty without parameters.
    private static func queryString(_ query: [String: String]) -> String {
        if query.isEmpty { return "" }
        let pairs = query.sorted { $0.key < $1.key }.map { "\(encoded($0.key))=\(encoded($0.value))" }
        return "?" + pairs.joined(separator: "&")
    }

    /// Percent-encodes all but RFC 3986's unreserved characters and those in `keeping`.
    static func encoded(_ text: String, keeping kept: String = "") -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            case _ where kept.utf8.contains(byte): out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                out += byte < 16 ? "%0" : "%"
                out += String(byte, radix: 16, uppercase: true)
            }
        }
        return out
    }
}

extension APIRequest {
    fileprivate var method: HTTPMethod {
        switch verb {
        case .get, .list, .watch: .GET
        case .create: .POST
        case .update: .PUT
        case .patch: .PATCH
        case .delete, .deleteCollection: .DELETE
        }
    }

    /// An update or merge patch that was done the first time conflicts or changes nothing the second time. A delete by
    /// name alone could hit an object that has come in the meantime; a repeated create or JSON patch may act twice.
    fileprivate var repetition: HTTPCall.Repetition {
        switch verb {
        case .get, .list, .watch, .update, .patch(.apply), .patch(.merge): return .harmless
        case .patch(.json), .patch(.strategic), .deleteCollection: return .whenUnprocessed
        case .delete: return body?["preconditions"]?.object?.isEmpty == false ? .harmless : .whenUnprocessed
        case .create:
            let isQuestion = ["authentication.k8s.io", "authorization.k8s.io"].contains(resource.group)
            return isQuestion || subresource == "token" || query["dryRun"] == "All" ? .harmless : .whenUnprocessed
        }
    }
}

extension HTTPCall {
    /// Whether to send again after this failure.
    func mayRepeat(after failure: APIError) -> Bool {
        if failure.isUnprocessed { return true }
        switch failure.code {
        case 0:
            return repetition == .harmless && ["Unreachable", "Interrupted"].contains(failure.reason)
        case 500, 502, 503, 504: return repetition == .harmless
        default: return false
        }
    }
}

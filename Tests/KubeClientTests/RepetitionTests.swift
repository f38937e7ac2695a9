import KubeCore
import Testing

@testable import KubeClient

struct RepetitionTests {
    static let unreachable = APIError(code: 0, reason: "Unreachable", message: "")
    static let refused = APIError(code: 0, reason: "Unreachable", message: "", isUnprocessed: true)
    static let interrupted = APIError(code: 0, reason: "Interrupted", message: "")
    static let busy = APIError(
        code: 503, reason: "ServiceUnavailable", message: "", retryAfterSeconds: 1, isUnprocessed: true)
    static let throttled = APIError(code: 429, reason: "TooManyRequests", message: "", isUnprocessed: true)

    func call(
        _ verb: APIRequest.Verb, body: JSONValue? = nil, subresource: String? = nil, query: [String: String] = [:]
    )
        throws -> HTTPCall
    {
        try HTTPCall(
            APIRequest(verb, .pods, namespace: "shop", name: "a", subresource: subresource, query: query, body: body))
    }

    @Test(arguments: [
        APIRequest.Verb.get, .list, .watch, .update, .patch(.apply), .patch(.merge),
    ])
    func `what changes nothing a second time is repeated after any fault`(_ verb: APIRequest.Verb) throws {
        let call = try call(verb)
        for code in [500, 502, 503, 504] {
            #expect(call.mayRepeat(after: APIError(code: code, reason: "", message: "")), "\(code)")
        }
        #expect(call.mayRepeat(after: Self.unreachable) && call.mayRepeat(after: Self.interrupted))
    }

    @Test(arguments: [
        APIRequest.Verb.create, .patch(.json), .patch(.strategic), .delete, .deleteCollection,
    ])
    func `what may act twice is repeated only when it was not processed`(_ verb: APIRequest.Verb) throws {
        let call = try call(verb)
        for code in [500, 502, 503, 504] {
            #expect(!call.mayRepeat(after: APIError(code: code, reason: "", message: "")), "\(code)")
        }
        #expect(!call.mayRepeat(after: Self.unreachable) && !call.mayRepeat(after: Self.interrupted))
        #expect(call.mayRepeat(after: Self.refused) && call.mayRepeat(after: Self.busy))
        #expect(call.mayRepeat(after: Self.throttled))
        // The server may have asked to come back after it had begun.
        #expect(!call.mayRepeat(after: APIError(code: 500, reason: "", message: "", retryAfterSeconds: 1)))
    }

    @Test func `a delete of one very object may be repeated`() throws {
        let call = try call(.delete, body: ["preconditions": ["uid": "1"]])
        #expect(call.mayRepeat(after: Self.unreachable))
    }

    @Test func `questions that are asked by creating are repeated`() throws {
        let review = try HTTPCall(APIRequest(.create, .tokenReviews, body: [:]))
        #expect(review.mayRepeat(after: Self.interrupted))
        #expect(try call(.create, subresource: "token").mayRepeat(after: Self.interrupted))
        #expect(try call(.create, query: ["dryRun": "All"]).mayRepeat(after: Self.interrupted))
    }

    @Test func `an eviction's 429 is its answer`() throws {
        let eviction = try call(.create, subresource: "eviction")
        #expect(!eviction.mayRepeat(after: APIError(code: 429, reason: "TooManyRequests", message: "")))
        #expect(eviction.mayRepeat(after: Self.refused))
    }

    @Test(arguments: [400, 401, 403, 404, 405, 409, 410, 415, 422, 501, 505])
    func `a refusal stands`(_ code: Int) throws {
        #expect(try !call(.get).mayRepeat(after: APIError(code: code, reason: "", message: "")))
    }

    @Test(arguments: ["InvalidAnswer", "Unauthorized", "Untrusted", "Timeout", "Cancelled", "Throttled"])
    func `what would fail again is not repeated`(_ reason: String) throws {
        #expect(try !call(.get).mayRepeat(after: APIError(code: 0, reason: reason, message: "")))
    }

    @Test(arguments: ["..", ".", "a/b", "a%2fb", ""])
    func `a name that would change the path is refused before anything is sent`(_ name: String) {
        #expect { try HTTPCall(APIRequest(.delete, .pods, namespace: "shop", name: name)) } throws: {
            ($0 as? APIError)?.code == 400
        }
    }

    @Test func `a name with unusual characters stays one segment`() throws {
        let roles = GroupVersionResource(
            group: "rbac.authorization.k8s.io", resource: "clusterroles", kind: "ClusterRole", isNamespaced: false)
        let call = try HTTPCall(APIRequest(.get, roles, name: "system:node?x=1#y é"))
        #expect(
            call.target == "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node%3Fx=1%23y%20%C3%A9")
    }
}

extension APIError {
    fileprivate init(
        code: Int, reason: String, message: String, retryAfterSeconds: Int? = nil, isUnprocessed: Bool
    ) {
        self.init(code: code, reason: reason, message: message, retryAfterSeconds: retryAfterSeconds)
        self.isUnprocessed = isUnprocessed
    }
}

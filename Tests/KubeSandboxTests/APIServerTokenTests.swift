import FoundationEssentials
import KubeCore
import Synchronization
import Testing

@testable import KubeSandbox

struct APIServerTokenTests {
    let clock = TestClock()
    let api: APIServer

    final class TestClock: Sendable {
        let date = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
        func advance(_ seconds: Double) { date.withLock { $0 += seconds } }
    }

    init() {
        api = APIServer(now: { [clock] in clock.date.withLock { $0 } })
    }

    private func token(_ spec: JSONValue) async throws -> String {
        let answer = try await api.perform(
            APIRequest(
                .create, .serviceAccounts, namespace: "default", name: "default", subresource: "token",
                body: ["spec": spec]))
        return answer[path: "status", "token"]?.string ?? ""
    }

    private func review(_ token: String, audiences: [String]) async throws -> JSONValue {
        try await api.perform(
            APIRequest(
                .create, .tokenReviews, body: ["spec": ["token": .string(token), "audiences": JSONValue(audiences)]]))[
                "status"]
            ?? [:]
    }

    @Test func `a token is valid for its audience and says who and which pod`() async throws {
        let made = try await api.create(.pods, pod("a", node: "n1"))
        let token = try await token([
            "audiences": ["heddle-ca"],
            "boundObjectRef": ["kind": "Pod", "apiVersion": "v1", "name": "a", "uid": .string(made.uid)],
        ])
        let status = try await review(token, audiences: ["heddle-ca"])
        #expect(status["authenticated"] == true && status["audiences"] == ["heddle-ca"])
        #expect(status[path: "user", "username"] == "system:serviceaccount:default:default")
        #expect(status[path: "user", "extra", "authentication.kubernetes.io/pod-name"] == ["a"])
        let other = try await review(token, audiences: ["else"])
        #expect(other["authenticated"] == nil && other["error"] != nil)

        _ = try await api.perform(
            APIRequest(.delete, .pods, namespace: "default", name: "a", body: ["gracePeriodSeconds": 0]))
        #expect(try await review(token, audiences: ["heddle-ca"])["authenticated"] == nil)
    }

    @Test func `a token expires and a forged one never was`() async throws {
        let token = try await token(["audiences": ["x"], "expirationSeconds": 600])
        #expect(try await review(token, audiences: ["x"])["authenticated"] == true)
        let forged = try await review(token.dropLast(4) + "AAAA", audiences: ["x"])
        #expect(forged["authenticated"] == nil)
        clock.advance(601)
        #expect(try await review(token, audiences: ["x"])["error"] == "token has expired")
        #expect(try await review("nonsense", audiences: ["x"])["authenticated"] == nil)
    }

    @Test func `access is always allowed`() async throws {
        let resource = GroupVersionResource(
            group: "authorization.k8s.io", resource: "selfsubjectaccessreviews", kind: "SelfSubjectAccessReview",
            isNamespaced: false)
        #expect(
            try await api.perform(APIRequest(.create, resource, body: ["spec": [:]]))[path: "status", "allowed"] == true
        )
    }
}

import Foundation
import KubeCore
import Synchronization

/// Tokens for pods, by TokenRequest; each is used until 80 % of its life is over.
final class ServiceAccountTokens: Sendable {
    struct Token: Sendable {
        var text: String
        /// Time until it should be renewed.
        var renewal: Duration
    }

    private struct Key: Hashable {
        var pod: String
        var audience: String
        var seconds: Int
    }

    private let api: any ClusterAPI
    private let kept = Mutex<[Key: (text: String, renewAt: Date)]>([:])

    init(api: any ClusterAPI) { self.api = api }

    func token(for pod: KubeObject, audience: String?, seconds: Int) async throws(APIError) -> Token {
        let key = Key(pod: pod.uid, audience: audience ?? "", seconds: seconds)
        if let token = kept.withLock({ $0[key] }), token.renewAt > Date() {
            return Token(text: token.text, renewal: .seconds(token.renewAt.timeIntervalSinceNow))
        }
        let account = pod.spec["serviceAccountName"]?.string ?? "default"
        var spec: JSONValue = [
            "expirationSeconds": .int(seconds),
            "boundObjectRef": ["kind": "Pod", "apiVersion": "v1", "name": .string(pod.name), "uid": .string(pod.uid)],
        ]
        if let audience, !audience.isEmpty { spec["audiences"] = [.string(audience)] }
        let answer = try await api.perform(
            APIRequest(
                .create, .serviceAccounts, namespace: pod.namespace, name: account, subresource: "token",
                body: ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec]))
        guard let text = answer[path: "status", "token"]?.string else {
            throw APIError(
                code: 500, reason: "InternalError",
                message: "the TokenRequest for \(account) has no token in its answer")
        }
        let expiry = answer[path: "status", "expirationTimestamp"]?.string.flatMap(KubeTime.parse)
        let life = max(1, expiry?.timeIntervalSinceNow ?? Double(seconds))
        let renewAt = Date().addingTimeInterval(life * 0.8)
        kept.withLock { $0[key] = (text, renewAt) }
        return Token(text: text, renewal: .seconds(life * 0.8))
    }

    func forget(pod uid: String) { kept.withLock { $0 = $0.filter { $0.key.pod != uid } } }
}

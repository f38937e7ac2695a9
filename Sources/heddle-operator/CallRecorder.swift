import FoundationEssentials
import HeddleAPI
import HeddleServer
import KubeCore
import Synchronization

/// Notes each kind of API call once, in a file: what RBAC rules are held against (Tests/InstallTests/Recorded).
///
/// On when `HEDDLE_RECORD_API_CALLS` names a file. A line is `<verb> <resource>[/<subresource>] <scope> <name>`: the verb
/// as in RBAC rules (`apply` for server-side apply, which needs `patch` and, for a new object, `create`), the scope `own`
/// for the operator's namespace, `any` for others and all, `cluster` for cluster-scoped kinds; the name only where rules
/// can be limited to it, else `*`.
final class CallRecorder: ClusterAPI {
    /// Objects that the operator knows by name whatever is in the cluster.
    private static let restrictable: Set<String> = [
        AuthorityKeeper.secretName, HeddleAPI.HeddleOperator.service, HeddleAPI.HeddleOperator.caConfigMap,
        HeddleAPI.HeddleOperator.injectorWebhook,
        HeddleAPI.HeddleOperator.releaseWebhook, HeddleAPI.HeddleOperator.validatorWebhook,
    ]

    private let api: any ClusterAPI
    private let file: String
    private let ownNamespace: String
    private let lines: Mutex<Set<String>>

    init(_ api: any ClusterAPI, file: String, ownNamespace: String) {
        self.api = api
        self.file = file
        self.ownNamespace = ownNamespace
        // An operator that is started again adds to what it wrote before.
        let before = (try? Data(contentsOf: URL(filePath: file))).map { String(decoding: $0, as: UTF8.self) } ?? ""
        lines = Mutex(Set(before.split(separator: "\n").map(String.init)))
    }

    func perform(_ request: APIRequest) async throws(APIError) -> JSONValue {
        note(request)
        return try await api.perform(request)
    }

    func watch(_ request: APIRequest) async throws(APIError) -> AsyncThrowingStream<WatchEvent, any Error> {
        note(request)
        return try await api.watch(request)
    }

    private func note(_ request: APIRequest) {
        let verb = request.verb == .patch(.apply) ? "apply" : request.verb.rbacName
        let resource = request.resource.description + (request.subresource.map { "/\($0)" } ?? "")
        let scope =
            !request.resource.isNamespaced ? "cluster" : request.namespace == ownNamespace ? "own" : "any"
        let selected = request.query["fieldSelector"].flatMap { selector in
            selector.hasPrefix("metadata.name=") ? String(selector.dropFirst("metadata.name=".count)) : nil
        }
        let named = request.verb == .create ? nil : request.name ?? selected
        let name = named.flatMap { Self.restrictable.contains($0) ? $0 : nil } ?? "*"
        let line = "\(verb) \(resource) \(scope) \(name)"
        lines.withLock { lines in
            guard lines.insert(line).inserted else { return }
            // The whole each time: a few kilobytes, some sixty times in a process' life.
            try? Data(lines.sorted().map { $0 + "\n" }.joined().utf8).write(to: URL(filePath: file))
        }
    }
}

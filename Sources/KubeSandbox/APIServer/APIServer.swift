package import FoundationEssentials
package import KubeCore
package import Logging
import Synchronization

/// A Kubernetes API server in this process, for demo and tests.
///
/// It keeps its objects in memory. It authenticates (over HTTP) and authorises as configured: not at all by default, or by
/// roles and bindings. It admits through webhooks, as configured by objects in it. What it leaves
/// out is told where it would be: CEL (`CRDSchema`), checks of built-in kinds (`Validation`).
///
/// Controllers and the node use it in process, through `ClusterAPI`; everybody else through `APIServerHTTP`.
///
/// Division of labour on deletion, as in a real cluster: the server marks (`deletionTimestamp`, the finalizers `orphan` and
/// `foregroundDeletion`, a namespace's phase `Terminating`) and removes what has no finalizer left. Emptying namespaces and
/// dealing with dependents is the controllers' work; without them such objects stay marked.
package final class APIServer: ClusterAPI, Sendable {
    package struct Configuration: Sendable {
        /// Where Services get their addresses from (IPv4, at most /16).
        package var serviceCIDR = "10.96.0.0/16"
        /// How many past changes of each resource a watch can resume over.
        package var historyLimit = 2000
        /// Who may do what.
        package var authorization = Authorization.allowAll
        /// `iss` of service-account tokens, and their audience when none is asked for.
        package var tokenIssuer = "https://kubernetes.default.svc.cluster.local"

        package init() {}
    }

    package enum Authorization: Sendable {
        /// Every authenticated caller may do everything, and access reviews say so.
        case allowAll
        /// By the Roles, ClusterRoles and their bindings in the cluster.
        case rbac
    }

    /// Finds where a Service's port can be reached from this process.
    package typealias ServiceResolver =
        @Sendable (_ namespace: String, _ name: String, _ port: Int) async -> (host: String, port: Int)?

    struct Hooks: Sendable {
        var podLogs: (any PodLogSource)?
        var resolveService: ServiceResolver?
    }

    let configuration: Configuration
    let store: Store
    let registry = ResourceRegistry()
    let addresses: ServiceAddresses
    let tokens: TokenIssuer
    let now: @Sendable () -> Date
    let logger: Logger
    let hooks = Mutex(Hooks())

    /// Makes a cluster with the namespaces `default`, `kube-system`, `kube-public` and `kube-node-lease`, each with its
    /// `default` ServiceAccount, and the Service `kubernetes`.
    package init(
        configuration: Configuration = Configuration(), logger: Logger = Logger(label: "heddle.sandbox.apiserver"),
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.configuration = configuration
        self.logger = logger
        self.now = now
        store = Store(historyLimit: configuration.historyLimit)
        addresses = ServiceAddresses(cidr: configuration.serviceCIDR)
        tokens = TokenIssuer(issuer: configuration.tokenIssuer)
        bootstrap()
    }

    /// Where `pods/log` reads from; without one the answer is that there is no node.
    package func setPodLogSource(_ source: any PodLogSource) { hooks.withLock { $0.podLogs = source } }

    /// Asked before the Service's cluster address when a webhook is called through a Service.
    package func setServiceResolver(_ resolver: @escaping ServiceResolver) {
        hooks.withLock { $0.resolveService = resolver }
    }

    package func perform(_ request: APIRequest) async throws(APIError) -> JSONValue {
        let answer = try await handle(request, caller: .system)
        return answer.json
    }

    package func watch(_ request: APIRequest) async throws(APIError) -> AsyncThrowingStream<WatchEvent, any Error> {
        let type = try type(of: request)
        return try openWatch(request, type: type, bufferSize: Self.watchBuffer) { event in
            WatchEvent(event.kind, KubeObject(json: Self.json(of: event, type)))
        }
    }

    /// Forgets all changes up to a version: watches and pages that go back beyond it answer `410 Expired`.
    package func forget(upTo revision: Int) { store.forget(upTo: revision) }

    /// Sends bookmarks and ends watches whose `timeoutSeconds` is over, until cancelled. One running instance is enough;
    /// `APIServerHTTP` runs it too.
    package func run() async {
        var beat = 0
        while !Task.isCancelled {
            do { try await Task.sleep(for: .seconds(1)) } catch { return }
            beat += 1
            store.tick(now: .now, bookmarks: beat.isMultiple(of: 30))
        }
    }

    /// Forgets past changes as a compaction of etcd does: a watch that resumes from an older version is answered 410, and
    /// its client has to list again. Open watches go on.
    package func compactHistory() { store.compact() }

    /// How many watches there are, and how those that came back went on.
    package var watches: WatchCounts { store.watches }

    /// Events that a watcher may lag behind before it is told to list again.
    static let watchBuffer = 16_384

    func type(of request: APIRequest) throws(APIError) -> ResourceType {
        guard let type = registry.type(request.resource) else { throw .noSuchResource() }
        return type
    }

    /// The one entry for all verbs but `watch`.
    func handle(_ request: APIRequest, caller: Caller) async throws(APIError) -> Answer {
        let type = try type(of: request)
        if type.isVirtual { return try review(request, type: type, caller: caller) }
        if let subresource = request.subresource, subresource != "status" {
            return try await action(subresource, request, type: type, caller: caller)
        }
        guard request.subresource == nil || type.hasStatus else { throw .noSuchResource() }
        switch request.verb {
        case .get: return try get(request, type: type)
        case .list, .watch: return try list(request, type: type)
        case .create: return try await create(request, type: type, caller: caller)
        case .update, .patch: return try await change(request, type: type, caller: caller)
        case .delete: return try await delete(request, type: type, caller: caller)
        case .deleteCollection: return try await deleteCollection(request, type: type, caller: caller)
        }
    }

    private func bootstrap() {
        let time = KubeTime.format(now())
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            var namespace = KubeObject(.namespaces, name: name).json
            Defaulting.apply(to: &namespace, registry.type(.namespaces) ?? BuiltinResources.all[0])
            insert(namespace, .namespaces, ObjectKey(namespace: "", name: name), time: time)
            ensureServiceAccount(in: name)
        }
        bootstrapRoles(time)
        var service = KubeObject(.services, namespace: "default", name: "kubernetes")
        service.labels = ["component": "apiserver", "provider": "kubernetes"]
        let address = addresses.first
        service.spec = [
            "clusterIP": .string(address), "clusterIPs": [.string(address)], "type": "ClusterIP",
            "sessionAffinity": "None", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "ports": [["name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443]],
        ]
        service.status = ["loadBalancer": [:]]
        insert(service.json, .services, service.key, time: time)
    }

    private func bootstrapRoles(_ time: String) {
        for role in DefaultRoles.roles {
            insert(role.object, .clusterRoles, ObjectKey(namespace: "", name: role.name), time: time)
        }
        let bindings = GroupVersionResource(
            group: "rbac.authorization.k8s.io", resource: "clusterrolebindings", kind: "ClusterRoleBinding",
            isNamespaced: false)
        for binding in DefaultRoles.bindings {
            var object = KubeObject(bindings, name: binding.name)
            object.json["roleRef"] = [
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": .string(binding.role),
            ]
            object.json["subjects"] = [
                ["apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": .string(binding.group)]
            ]
            insert(object.json, bindings, object.key, time: time)
        }
    }

    func ensureServiceAccount(in namespace: String) {
        let account = KubeObject(.serviceAccounts, namespace: namespace, name: "default")
        insert(account.json, .serviceAccounts, account.key, time: KubeTime.format(now()))
    }

    /// Stores a new object as it is, unless it is there.
    private func insert(_ json: JSONValue, _ resource: GroupVersionResource, _ key: ObjectKey, time: String) {
        var json = json
        json.change("metadata") { metadata in
            metadata["uid"] = .string(Self.newUID())
            metadata["creationTimestamp"] = .string(time)
        }
        _ = store.commit(resource.description, key, expected: nil, json: json)
    }

    static func newUID() -> String { UUID().uuidString.lowercased() }
}

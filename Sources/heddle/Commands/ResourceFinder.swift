import HeddleAPI
import KubeCore

/// Reads Heddle's objects for a person: what is missing or not valid becomes one clear sentence.
struct ResourceFinder: Sendable {
    var api: any ClusterAPI
    var namespace: String

    init(_ cluster: ClusterOptions.Cluster) { self.init(api: cluster.api, namespace: cluster.namespace) }

    init(api: any ClusterAPI, namespace: String) {
        self.api = api
        self.namespace = namespace
    }

    /// - Throws: `CommandFailure`, which names the objects that exist when this one does not.
    func find<Spec, Status>(_ type: Resource<Spec, Status>.Type, _ name: String) async throws -> Resource<Spec, Status>
    {
        guard let object = try await api.find(Spec.resource, namespace: namespace, name: name) else {
            throw try await missing(Spec.resource, name)
        }
        return try Self.read(object)
    }

    static func read<Spec, Status>(_ object: KubeObject) throws(CommandFailure) -> Resource<Spec, Status> {
        do {
            return try Resource<Spec, Status>(object)
        } catch {
            throw CommandFailure("\(Spec.resource.kind) \(object.key) is not valid: \(error)")
        }
    }

    /// The sentence for an object that is not there. The list tells a missing object from a kind that is not served.
    func missing(_ resource: GroupVersionResource, _ name: String) async throws -> CommandFailure {
        let all = try await Self.list(resource, api: api)
        let here = all.filter { $0.namespace == namespace }.map(\.name).sorted()
        let elsewhere = all.filter { $0.namespace != namespace && $0.name == name }.map(\.namespace).sorted()
        let start = "there is no \(resource.kind) \(name) in namespace \(namespace)"
        if let other = elsewhere.first { return CommandFailure("\(start); there is one in \(other): add -n \(other)") }
        if !here.isEmpty { return CommandFailure("\(start); there are: \(here.joined(separator: ", "))") }
        let keys = all.map(\.key).sorted().prefix(10).map(\.description)
        return CommandFailure(
            keys.isEmpty
                ? "\(start), nor is there any in the cluster"
                : "\(start); in other namespaces there are: \(keys.joined(separator: ", "))")
    }

    /// - Parameter namespace: nil lists all.
    /// - Throws: `CommandFailure` when the cluster does not know the kind, else `APIError`.
    static func list(_ resource: GroupVersionResource, namespace: String? = nil, api: any ClusterAPI) async throws
        -> [KubeObject]
    {
        do {
            return try await api.list(resource, namespace: namespace).items
        } catch {
            guard error.isNotFound else { throw error }
            throw CommandFailure(
                "the cluster does not know \(resource): install Heddle's definitions with 'heddle crds | kubectl apply -f -'"
            )
        }
    }
}

import Foundation
import HeddleAPI
import HeddleControllers
import KubeCore
import KubeRuntime
import KubeTesting
import Logging
import MeshEvidence

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// What a release's operator left in a cluster, and this build's controllers on it.
///
/// `Recorded/<version>.json` holds the objects of the demo's namespaces at its end, as that version's operator and sandbox
/// had them: an adoption that reached Traffic, a release that was promoted and one that was rolled back after it.
struct RecordedCluster {
    let cluster = InMemoryCluster()
    let stores: ClusterStores
    let objects: [KubeObject]
    /// A minute after the recording.
    let now: Date
    private let events: EventRecorder
    private let kinds: [(store: Store, resource: GroupVersionResource)]

    init(_ version: String) throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Recorded/\(version).json")
        objects = (try JSONValue.parse(String(contentsOf: file, encoding: .utf8)).array ?? []).map(
            KubeObject.init(json:))
        let stores = ClusterStores(runtime: Runtime(api: cluster, logger: quiet))
        self.stores = stores
        kinds = [
            (stores.namespaces, .namespaces), (stores.pods, .pods), (stores.services, .services),
            (stores.endpointSlices, .endpointSlices), (stores.deployments, .deployments),
            (stores.replicaSets, .replicaSets), (stores.meshes, .meshes), (stores.adoptions, .adoptions),
            (stores.canaries, .canaries), (stores.servicePolicies, .servicePolicies),
            (stores.metricTemplates, .metricTemplates), (stores.virtualServices, .virtualServices),
            (stores.destinationRules, .destinationRules), (stores.peerAuthentications, .peerAuthentications),
            (stores.telemetries, .telemetries),
        ]
        for object in objects {
            guard let resource = kinds.first(where: { $0.resource.kind == object.kind })?.resource else { continue }
            cluster.seed(resource, object)
        }
        let written = objects.flatMap { object in
            (object.json[path: "status", "conditions"]?.array ?? []).compactMap {
                $0["lastTransitionTime"]?.string.flatMap(Timestamp.init)?.date
            }
        }
        now = (written.max() ?? Date(timeIntervalSince1970: 0)).addingTimeInterval(60)
        events = EventRecorder(api: cluster, component: "test", instance: "test", logger: quiet)
        cluster.clearLog()
    }

    func object(_ kind: String, _ name: String) -> KubeObject? { objects.first { $0.kind == kind && $0.name == name } }

    /// Workloads with their metadata and spec, by kind and name.
    var workloads: [String: JSONValue] {
        var found: [String: JSONValue] = [:]
        for resource in [GroupVersionResource.deployments, .replicaSets, .pods] {
            for object in cluster.objects(resource) {
                found["\(resource.kind) \(object.key)"] = [
                    "metadata": object.json["metadata"] ?? [:], "spec": object.spec,
                ]
            }
        }
        return found
    }

    /// What was changed since the last `clearLog()`, but for statuses and events.
    var writes: [APIRequest] {
        cluster.writes.filter { $0.changed && $0.request.subresource != "status" && $0.request.resource != .events }
            .map(\.request)
    }

    /// The proxies as they were: all connected, all in sync.
    private var proxies: ProxyView {
        let meshed = Set(objects.filter { $0.labels[HeddleLabel.injected] == "true" }.map(\.key))
        var view = ProxyView(
            isSynced: { true }, syncedPods: { meshed }, rejection: { _ in nil }, problems: { _ in [] },
            counts: { (meshed.count, meshed.count) })
        let end = now.addingTimeInterval(86400)
        view.certificateNotAfter = { _ in end }
        return view
    }

    /// Every controller looks at every object of its kind, as it does after a start; `rounds` times.
    func start(rounds: Int = 3) async throws {
        let now = now
        let prometheus: @Sendable () -> (any PrometheusQuerying)? = { nil }
        let routes = RouteWriter(api: cluster, stores: stores)
        let reconcilers: [(any Reconciler, GroupVersionResource)] = [
            (
                CanaryReconciler(
                    api: cluster, stores: stores, routes: routes, evidence: EvidenceCollector(), proxies: proxies,
                    events: events, prometheus: prometheus, now: { now }), .canaries
            ),
            (
                AdoptionReconciler(
                    api: cluster, stores: stores, observer: AdoptionObserver(), proxies: proxies, events: events,
                    prometheus: prometheus, now: { now }), .adoptions
            ),
            (
                ServicePolicyReconciler(
                    api: cluster, stores: stores, routes: routes, proxies: proxies, now: { now }), .servicePolicies
            ),
        ]
        for _ in 0..<rounds {
            for (reconciler, resource) in reconcilers {
                for object in cluster.objects(resource) {
                    for (store, resource) in kinds { store.replace(with: cluster.objects(resource)) }
                    _ = try await reconciler.reconcile(object.key)
                }
            }
        }
    }
}

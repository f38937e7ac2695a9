import AsyncHTTPClient
import FoundationEssentials
import HeddleAPI
import HeddleControllers
import HeddleServer
import KubeCore
import KubeRuntime
import Logging
import MeshDialects
import MeshEvidence
import MeshIdentity
import MeshModel
import MeshPlan
import MetricsExport
import NIOCore
import ServiceLifecycle
import Synchronization
import UnixSignals
import XDSServer

/// Wires the rooms together and runs them until it is told to stop.
struct Operator {
    let options: HeddleOperator
    let api: any ClusterAPI
    let registry: PrometheusRegistry
    let logger: Logger

    func run() async throws {
        // A random part, because a container that starts again has its pod's name again: what the old process had in hand
        // must have lapsed before the new one leads.
        let pod = ProcessInfo.processInfo.environment["POD_NAME"] ?? "heddle-operator"
        let identity = options.identity ?? "\(pod)_\(String(UInt64.random(in: 0 ... .max), radix: 16))"
        let election =
            options.noLeaderElection
            ? nil
            : LeaderElection(
                api: api,
                configuration: .init(namespace: options.namespace, name: "heddle-operator", identity: identity),
                logger: logger)
        let runtime = Runtime(api: api, logger: logger, leadership: election)
        let stores = ClusterStores(runtime: runtime)

        // The trust domain is fixed for the life of the process: the authority is made for it.
        let mesh = MeshChoice(try await api.list(.meshes).items)
        let keeper = AuthorityKeeper(api: api, namespace: options.namespace)
        let secrets = runtime.store(
            for: .secrets, namespace: options.namespace, fields: "metadata.name=\(AuthorityKeeper.secretName)")
        let authority = try await LiveAuthority(
            keeper: keeper, plan: AuthorityPlan(trustDomain: mesh.spec.trustDomain), secrets: secrets, logger: logger)
        let host = "\(options.service).\(options.namespace).svc"
        let names = [host, "\(host).cluster.local", "\(options.service).\(options.namespace)", "localhost"]
        let serving = ServingCertificate(authority: { authority.current }, names: names, logger: logger)
        let certificates = try serving.issue(now: Date())
        authority.onChange { _ in serving.renew(certificates, now: Date()) }

        let feed = MeshFeed()
        let recorder = EventRecorder(api: api, component: "heddle-operator", instance: identity, logger: logger)
        let hub = SnapshotHub(source: feed) { proxy, rejection in
            let sources = feed.sources(of: rejection, for: proxy)
            logger.error(
                "a proxy refused its configuration",
                metadata: [
                    "pod": "\(proxy.namespace)/\(proxy.podName)", "objects": "\(sources)",
                    "why": "\(rejection.message)",
                ])
            // The first is the object that the resource says most of.
            guard let object = sources.lazy.compactMap(stores.meshObject(_:)).first else { return }
            recorder.record(
                .warning, reason: ConditionReason.rejectedByProxy.rawValue,
                message:
                    "Proxies refuse what this object asks for, and keep their last configuration: \(rejection.message)",
                on: object)
        }
        let issued = IssuedCertificates()
        let freshness = Freshness()
        let peers = PeerProxies()
        var proxies = proxyView(hub: hub, feed: feed, issued: issued, freshness: freshness, peers: peers)
        // The Mesh's status has the authority's end, too.
        proxies.revision = {
            hub.revision &+ UInt64(max(0, authority.current.authority.notAfter.timeIntervalSince1970))
        }
        let clients = HTTPClient(eventLoopGroupProvider: .singleton)
        let prometheus: @Sendable () -> (any PrometheusQuerying)? = {
            guard let source = MeshChoice(stores.meshes.list()).spec.prometheus else { return nil }
            return PrometheusHTTP(client: clients, base: source.address, timeout: source.timeout.duration)
        }
        addControllers(
            to: runtime, stores: stores, proxies: proxies, recorder: recorder, authority: authority,
            keeper: keeper, prometheus: prometheus)
        let webhooks = AdmissionWebhooks(
            lookups: .init(
                namespaceLabels: { stores.namespaces.get(name: $0)?.labels ?? [:] },
                injector: { [options] in
                    SidecarInjector(settings: injection(MeshChoice(stores.meshes.list()), options: options))
                },
                excludedNamespaces: { [options] in
                    Set(MeshChoice(stores.meshes.list()).spec.excludedNamespaces + [options.namespace])
                },
                prepareNamespace: { namespace in
                    do {
                        try await authority.publishRoots(in: namespace)
                    } catch {
                        logger.warning(
                            "root not published", metadata: ["namespace": "\(namespace)", "error": "\(error)"])
                    }
                },
                canary: { key in
                    stores.canaries.list(index: ClusterStores.byTarget, "\(key.namespace)/\(key.name)").min {
                        ($0.creationTimestamp ?? .distantPast, $0.name) < (
                            $1.creationTimestamp ?? .distantPast, $1.name
                        )
                    }
                }))
        let secure = try OperatorServer.secure(
            webhooks: webhooks,
            signing: CertificateSigning(
                api: api, authority: { authority.current.authority }, roots: { authority.current.bundlePEM },
                issued: issued
            ) {
                MeshChoice(stores.meshes.list()).spec.proxy.certificateLifetime.duration
            },
            address: options.address, port: options.securePort, tls: try serving.tlsConfiguration(certificates),
            logger: logger)
        let plain = OperatorServer.plain(
            address: options.address, port: options.plainPort, isReady: { runtime.isReady },
            metrics: { [registry] in
                OperatorMetrics.text(hub: hub, runtime: runtime, issued: issued) + registry.text()
            },
            targets: { PrometheusTargets.list(stores.pods.list()) },
            proxies: { PeerProxies.page(hub.debugJSON(), issued: issued) }, logger: logger)
        let discovery = try AggregatedDiscoveryServer(
            address: options.address, port: options.xdsPort, hub: hub, certificates: certificates, logger: logger,
            options: .init(trustDomain: mesh.spec.trustDomain))

        let group = ServiceGroup(
            configuration: .init(
                // Shut down from the last to the first: the lead is handed over before the doors close, so that another
                // replica goes on at once while this one lets its proxies go.
                services: [
                    .init(service: recorder), .init(service: authority), .init(service: secure), .init(service: plain),
                    .init(
                        service: LongLife {
                            try await discovery.run()
                        } onShutdown: {
                            discovery.beginGracefulShutdown()
                        }),
                    .init(
                        service: LongLife {
                            try await follow(stores, feed: feed, hub: hub, freshness: freshness, recorder: recorder)
                        }),
                    .init(service: LongLife { try await serving.keepFresh(certificates) }),
                    .init(service: LongLife { try await askPeers(peers, stores: stores, with: clients) }),
                    .init(service: runtime),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        logger.info("starting", metadata: ["identity": "\(identity)", "version": "\(HeddleVersion.text)"])
        do {
            try await group.run()
        } catch {
            try? await clients.shutdown()
            throw error
        }
        try? await clients.shutdown()
    }

    private func addControllers(
        to runtime: Runtime, stores: ClusterStores, proxies: ProxyView, recorder: EventRecorder,
        authority: LiveAuthority, keeper: AuthorityKeeper,
        prometheus: @escaping @Sendable () -> (any PrometheusQuerying)?
    ) {
        // Writes of controllers pass only while this replica leads for certain.
        let api = runtime.leaderAPI
        let routes = RouteWriter(api: api, stores: stores)
        runtime.add(
            Controller(
                name: "canary", sources: CanaryReconciler.sources(stores), concurrency: 4, logger: logger,
                reconciler: CanaryReconciler(
                    api: api, stores: stores, routes: routes, evidence: EvidenceCollector(), proxies: proxies,
                    events: recorder, prometheus: prometheus)))
        runtime.add(
            Controller(
                name: "adoption", sources: AdoptionReconciler.sources(stores), logger: logger,
                reconciler: AdoptionReconciler(
                    api: api, stores: stores, observer: AdoptionObserver(), proxies: proxies, events: recorder,
                    prometheus: prometheus)))
        let policies = Controller(
            name: "servicepolicy", sources: ServicePolicyReconciler.sources(stores), logger: logger,
            reconciler: ServicePolicyReconciler(api: api, stores: stores, routes: routes, proxies: proxies))
        runtime.add(policies)
        let meshes = Controller(
            name: "mesh", sources: MeshReconciler.sources(stores), concurrency: 1, logger: logger,
            reconciler: MeshReconciler(
                api: api, stores: stores, proxies: proxies,
                authorityNotAfter: { authority.current.authority.notAfter }))
        runtime.add(meshes)
        runtime.add(
            Controller(
                name: "metrictemplate", sources: MetricTemplateReconciler.sources(stores), concurrency: 1,
                logger: logger,
                reconciler: MetricTemplateReconciler(api: api, stores: stores)))
        runtime.addLeaderWork("proxies") {
            try await ProxyWatch(proxies) {
                for mesh in stores.meshes.list() { meshes.enqueue(mesh.key) }
                for policy in stores.servicePolicies.list() { policies.enqueue(policy.key) }
            }.run()
        }
        for resource in [GroupVersionResource.mutatingWebhookConfigurations, .validatingWebhookConfigurations] {
            let store = runtime.store(for: resource)
            let controller = Controller(
                name: "webhook-trust-\(resource.resource)", sources: [.primary(store)], concurrency: 1, logger: logger,
                reconciler: WebhookTrust(
                    api: api, store: store, resource: resource,
                    bundle: { Base64.encode(authority.current.bundlePEM) }))
            authority.onChange { _ in for key in WebhookTrust.keys(of: resource) { controller.enqueue(key) } }
            runtime.add(controller)
        }
        let published = runtime.store(for: .configMaps, fields: "metadata.name=\(SidecarInjector.rootConfigMap)")
        let publisher = Controller(
            name: "roots", sources: [.primary(published)], concurrency: 1, logger: logger,
            reconciler: RootPublisher(
                keeper: keeper, store: published, roots: { authority.current.bundlePEM }))
        authority.onChange { _ in for map in published.list() { publisher.enqueue(map.key) } }
        runtime.add(publisher)
    }

    private func proxyView(
        hub: SnapshotHub, feed: MeshFeed, issued: IssuedCertificates, freshness: Freshness, peers: PeerProxies
    ) -> ProxyView {
        var view = ProxyView(
            isSynced: {
                freshness.isFresh && hub.isSynced() && peers.isSynced(since: freshness.changedAt, at: Date())
            },
            syncedPods: {
                Set(
                    hub.proxies().filter(\.isSynced).map {
                        ObjectKey(namespace: $0.proxy.namespace, name: $0.proxy.podName)
                    } + peers.proxies(at: Date()).filter(\.isSynced).map(\.pod))
            },
            rejection: { source in
                hub.proxies().lazy.flatMap { status in
                    status.types.values.lazy.compactMap(\.lastRejection).map { (status.proxy, $0) }
                }
                .first { feed.sources(of: $0.1, for: $0.0).contains(source) }?.1.message
            }, problems: { feed.problems[$0] ?? [] },
            counts: {
                let own = hub.proxies()
                let others = peers.proxies(at: Date())
                return (own.count + others.count, own.filter(\.isSynced).count + others.filter(\.isSynced).count)
            })
        // Any replica may have signed the newest one; after its restart only what streams were opened with is known.
        view.certificateNotAfter = { pod in
            let stream = hub.proxies().first { $0.proxy.namespace == pod.namespace && $0.proxy.podName == pod.name }
            return [
                issued.notAfter(of: pod), stream?.proxy.certificateNotAfter,
                peers.certificateNotAfter(of: pod, at: Date()),
            ].compactMap { $0 }.max()
        }
        return view
    }

    /// Takes changes of the caches into the feed; changes that come close together are taken in at once.
    private func follow(
        _ stores: ClusterStores, feed: MeshFeed, hub: SnapshotHub, freshness: Freshness,
        recorder: EventRecorder
    ) async throws {
        for store in stores.meshStores { try await cancelWhenGracefulShutdown { try await store.waitUntilSynced() } }
        let (wakeUps, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let subscriptions = stores.meshStores.map { store in
            store.observe(replaying: false) { _ in
                freshness.stale()
                wake.yield()
            }
        }
        defer { for subscription in subscriptions { subscription.cancel() } }
        wake.yield()
        var reported: [String: [FieldError]] = [:]
        for await _ in wakeUps.cancelOnGracefulShutdown() {
            try await Task.sleep(for: .milliseconds(10))
            let seen = freshness.changes
            if feed.refresh(stores.meshObjects, settings: MeshChoice(stores.meshes.list()).settings) {
                hub.changed()
                freshness.changed(at: Date())
            }
            freshness.caughtUp(with: seen)
            for (source, problems) in feed.problems where reported[source] != problems {
                guard let object = stores.meshObject(source) else { continue }
                recorder.record(
                    .warning, reason: ConditionReason.unsupported.rawValue,
                    message: problems.map(\.description).joined(separator: "; "), on: object)
            }
            reported = feed.problems
        }
    }
}

extension Operator {
    /// Asks the other replicas for their proxies, every second, for as long as there are any.
    private func askPeers(_ peers: PeerProxies, stores: ClusterStores, with client: HTTPClient) async throws {
        let own =
            ProcessInfo.processInfo.environment["POD_IP"] ?? (options.address == "0.0.0.0" ? nil : options.address)
        while !Task.isShuttingDownGracefully {
            try await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(1)) }
            // Without an address of its own (a single process outside of a cluster) there is nobody to tell apart.
            guard let own else { continue }
            let addresses = stores.endpointSlices.list(namespace: options.namespace)
                .filter { $0.labels["kubernetes.io/service-name"] == options.service }
                .flatMap { $0.json["endpoints"]?.array ?? [] }
                .filter { $0[path: "conditions", "ready"]?.bool ?? true }
                .flatMap { $0["addresses"]?.array?.compactMap(\.string) ?? [] }
            peers.keep(Set(addresses))
            for address in Set(addresses) where address != own {
                let asked = Date()
                do {
                    let request = HTTPClientRequest(url: "http://\(address):\(options.plainPort)/debug/proxies")
                    let response = try await client.execute(request, timeout: .seconds(2))
                    let body = try await response.body.collect(upTo: 64 << 20)
                    peers.note(try JSONValue.parse(body.readableBytesView), from: address, at: asked)
                } catch {
                    logger.debug("a replica does not answer", metadata: ["address": "\(address)", "error": "\(error)"])
                }
            }
        }
    }
}

private func injection(_ mesh: MeshChoice, options: HeddleOperator) -> SidecarInjector.Settings {
    var settings = mesh.injection(image: options.proxyImage)
    let host = "\(options.service).\(options.namespace).svc"
    settings.discoveryAddress = "\(host):15012"
    settings.certificateAddress = "\(host):443"
    return settings
}

/// A service made of a function. At graceful shutdown it may end by cancellation: that is no failure.
private struct LongLife: Service {
    let body: @Sendable () async throws -> Void
    let onShutdown: @Sendable () -> Void

    init(_ body: @escaping @Sendable () async throws -> Void, onShutdown: @escaping @Sendable () -> Void = {}) {
        self.body = body
        self.onShutdown = onShutdown
    }

    func run() async throws {
        let (body, onShutdown) = (body, onShutdown)
        try await withGracefulShutdownHandler {
            do {
                try await body()
            } catch is CancellationError where Task.isShuttingDownGracefully {}
        } onGracefulShutdown: {
            onShutdown()
        }
    }
}

/// Whether the feed has taken in everything that the caches have: until then no proxy can be in sync with them.
private final class Freshness: Sendable {
    private let state = Mutex<(changes: Int, taken: Int, at: Date)>((1, 0, .distantPast))

    var isFresh: Bool { state.withLock { $0.changes == $0.taken } }
    var changes: Int { state.withLock { $0.changes } }
    /// When the feed last changed what proxies should have.
    var changedAt: Date { state.withLock { $0.at } }
    func stale() { state.withLock { $0.changes += 1 } }
    func changed(at now: Date) { state.withLock { $0.at = now } }
    func caughtUp(with changes: Int) { state.withLock { $0.taken = changes } }
}

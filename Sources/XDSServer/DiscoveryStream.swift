package import EnvoyAPI
import SwiftProtobuf

package typealias DeltaRequest = Envoy_Service_Discovery_V3_DeltaDiscoveryRequest
package typealias DeltaResponse = Envoy_Service_Discovery_V3_DeltaDiscoveryResponse

/// One proxy's incremental discovery stream, as a value: requests and wishes go in, responses come out.
///
/// Per type at most one response is under way. Changes are made before they break: clusters and endpoints first,
/// listeners and routes when the proxy has taken the clusters; clusters and endpoints are removed only when the proxy
/// has taken every listener and route that it should have, and `removalGrace` later, for the requests and retries that
/// are still on their way. A refused resource leaves its last version in place, and is sent again only when it changes.
package struct DiscoveryStream: Sendable {
    package typealias Instant = ContinuousClock.Instant

    /// What a request said about an earlier response.
    package enum Outcome: Sendable, Equatable {
        case none
        case acknowledged
        case rejected(Rejection)
    }

    /// How long a cluster outlives the last route to it.
    package let removalGrace: Duration
    /// How long listeners and routes wait for clusters that do not get warm.
    package let endpointPatience: Duration

    private var desired = ResourceSet()
    private var subscriptions: [TypeURL: Subscription] = [:]
    /// Clusters that were sent and whose endpoints the proxy does not have yet.
    private var awaitedEndpoints: Set<String> = []
    /// When clusters were last sent, until they and their endpoints have been taken.
    private var waitingSince: Instant?
    private var lastNonce: UInt64 = 0
    /// Clusters that the proxy asks for by name, beside all those that it gets unasked, and those that it brought along
    /// when it connected: what its requests need.
    package private(set) var requestedClusters: Set<String> = []

    package init(removalGrace: Duration = .seconds(5), endpointPatience: Duration = .seconds(5)) {
        self.removalGrace = removalGrace
        self.endpointPatience = endpointPatience
    }

    /// Sets what the proxy should have.
    package mutating func update(_ resources: ResourceSet) {
        desired = resources
        for type in subscriptions.keys { subscriptions[type]?.desire(resources[type]) }
        awaitedEndpoints = awaitedEndpoints.filter {
            resources[.cluster][$0] != nil && resources[.endpoints][$0] != nil
        }
    }

    /// Takes a request: a subscription, an answer, or both.
    package mutating func receive(_ request: DeltaRequest) -> Outcome {
        let type = TypeURL(rawValue: request.typeURL)
        if type == .cluster {
            requestedClusters.formUnion(request.resourceNamesSubscribe)
            requestedClusters.formUnion(request.initialResourceVersions.keys)
            requestedClusters.subtract(request.resourceNamesUnsubscribe)
            requestedClusters.remove("*")
        }
        guard var subscription = subscriptions[type] else {
            subscriptions[type] = Subscription(
                type: type, subscribe: request.resourceNamesSubscribe,
                initialVersions: request.initialResourceVersions)
            // What a reconnecting proxy has belongs to the cluster's last version; the one just sent warms without it.
            if type == .endpoints { for name in awaitedEndpoints { subscriptions[type]?.forget(name) } }
            return .none
        }
        let (outcome, names) = Self.answer(request, to: &subscription)
        subscription.change(
            subscribe: request.resourceNamesSubscribe, unsubscribe: request.resourceNamesUnsubscribe)
        subscriptions[type] = subscription
        if type == .endpoints { awaitedEndpoints.subtract(names) }
        if awaitedEndpoints.isEmpty, subscriptions[.cluster]?.inFlight == nil { waitingSince = nil }
        return outcome
    }

    /// - Returns: What the request says of an earlier response, and the names that are settled by it.
    private static func answer(
        _ request: DeltaRequest, to subscription: inout Subscription
    ) -> (Outcome, settled: [String]) {
        guard !request.responseNonce.isEmpty else { return (.none, []) }
        if request.hasErrorDetail {
            guard
                let rejection = subscription.reject(
                    nonce: request.responseNonce, message: request.errorDetail.message)
            else { return (.none, []) }
            return (.rejected(rejection), Array(rejection.versions.keys))
        }
        guard let taken = subscription.acknowledge(nonce: request.responseNonce) else { return (.none, []) }
        return (.acknowledged, Array(taken.holdings.keys))
    }

    /// The next response to write; call until nil. Each counts as sent.
    package mutating func nextResponse(at now: Instant) -> DeltaResponse? {
        let types = TypeURL.additionOrder + subscriptions.keys.filter { !TypeURL.additionOrder.contains($0) }
        for type in types {
            if let response = nextAddition(type, at: now) { return response }
        }
        for type in types.filter({ !$0.isReferredTo }).reversed() + TypeURL.lateRemovalOrder {
            if let response = nextRemoval(type, at: now) { return response }
        }
        return nil
    }

    // MARK: Additions

    private mutating func nextAddition(_ type: TypeURL, at now: Instant) -> DeltaResponse? {
        guard var subscription = subscriptions[type], subscription.inFlight == nil else { return nil }
        defer { subscriptions[type] = subscription }
        let due = subscription.due(desired[type])
        let resources = subscription.batch(of: type.isReferredTo ? due : due.filter { isUsable($0, at: now) })
        // Of a proxy that nothing is known of yet, no request's cluster is said to be missing.
        let isUndecided = type == .cluster && desired.types.isEmpty
        let unknown = isUndecided ? [] : subscription.unknown(desired[type])
        guard !resources.isEmpty || !unknown.isEmpty else { return nil }
        if type == .cluster { awaitEndpoints(of: resources, at: now) }
        return send(resources, removed: unknown, isRemoval: false, on: &subscription)
    }

    /// Whether the proxy has the clusters that a listener or route refers to: those that it names, or else all.
    ///
    /// Envoy acknowledges clusters only when they are warm, which takes endpoints: so endpoints never wait, and
    /// whatever refers to clusters waits for their acknowledgement.
    private func isUsable(_ resource: XDSResource, at now: Instant) -> Bool {
        guard let clusters = subscriptions[.cluster] else { return true }
        let isPatient = waitingSince.map { now < $0 + endpointPatience } ?? true
        if resource.requires.isEmpty {
            let isWaiting = clusters.inFlight?.isRemoval == false || !awaitedEndpoints.isEmpty
            return !isPatient || (!isWaiting && clusters.due(desired[.cluster]).isEmpty)
        }
        return resource.requires.allSatisfy { name in
            guard desired[.cluster][name] != nil else { return true }
            if clusters.held[name] != nil { return !isPatient || !awaitedEndpoints.contains(name) }
            return !isPatient && clusters.rejected[name] == nil
        }
    }

    /// A cluster that is sent warms until it gets endpoints, even if the proxy had them for the cluster's last version.
    private mutating func awaitEndpoints(of clusters: [XDSResource], at now: Instant) {
        waitingSince = now
        for cluster in clusters where desired[.endpoints][cluster.name] != nil {
            subscriptions[.endpoints]?.forget(cluster.name)
            awaitedEndpoints.insert(cluster.name)
        }
    }

    // MARK: Removals

    private mutating func nextRemoval(_ type: TypeURL, at now: Instant) -> DeltaResponse? {
        guard var subscription = subscriptions[type], subscription.inFlight == nil else { return nil }
        var obsolete = subscription.obsolete(desired[type])
        guard !obsolete.isEmpty else { return nil }
        if type.isReferredTo {
            guard areReferrersSettled, type == .cluster || isClusterRemovalDone else { return nil }
            for name in obsolete where subscription.removableSince[name] == nil {
                subscription.removableSince[name] = now
            }
            obsolete = obsolete.filter { name in
                subscription.removableSince[name].map { now >= $0 + removalGrace } ?? false
            }
        }
        defer { subscriptions[type] = subscription }
        guard !obsolete.isEmpty else { return nil }
        return send([], removed: obsolete.sorted(), isRemoval: true, on: &subscription)
    }

    /// Whether the proxy runs exactly the listeners and routes that it should, so that nothing refers to what is no
    /// longer wanted.
    private var areReferrersSettled: Bool {
        if subscriptions[.listener] == nil, !desired[.listener].isEmpty { return false }
        return subscriptions.values.allSatisfy { $0.type.isReferredTo || isSettled($0) }
    }

    /// Whether no cluster is still to go: a proxy that drops a cluster drops its endpoints by itself.
    private var isClusterRemovalDone: Bool {
        guard let clusters = subscriptions[.cluster] else { return true }
        return clusters.inFlight == nil && clusters.obsolete(desired[.cluster]).isEmpty
    }

    private func isSettled(_ subscription: Subscription) -> Bool {
        let wish = desired[subscription.type]
        return subscription.inFlight == nil && subscription.rejected.isEmpty && subscription.due(wish).isEmpty
            && subscription.obsolete(wish).isEmpty
    }

    private mutating func send(
        _ resources: [XDSResource], removed: [String], isRemoval: Bool, on subscription: inout Subscription
    ) -> DeltaResponse {
        lastNonce += 1
        var response = DeltaResponse()
        response.typeURL = subscription.type.rawValue
        response.nonce = String(lastNonce)
        response.systemVersionInfo = desired.version(of: subscription.type)
        response.removedResources = removed
        var holdings: [String: Subscription.Holding] = [:]
        for name in removed { holdings[name] = .absent }
        response.resources = resources.map { resource in
            holdings[resource.name] = .version(resource.version)
            return .with {
                $0.name = resource.name
                $0.version = resource.version
                $0.resource = resource.body
            }
        }
        subscription.sent(
            .init(
                nonce: response.nonce, systemVersion: response.systemVersionInfo, holdings: holdings,
                isRemoval: isRemoval))
        return response
    }
}

extension DiscoveryStream {
    /// When `nextResponse` may have something though nothing came in.
    package var nextWakeUp: Instant? {
        var instants = subscriptions.values.flatMap { $0.removableSince.values }.map { $0 + removalGrace }
        if let waitingSince { instants.append(waitingSince + endpointPatience) }
        return instants.min()
    }

    /// Whether the proxy has taken everything that it should have. Clusters and endpoints that linger do not count.
    package var isSynced: Bool {
        for type in [TypeURL.cluster, .listener] where subscriptions[type] == nil && !desired[type].isEmpty {
            return false
        }
        return awaitedEndpoints.isEmpty
            && subscriptions.values.allSatisfy { subscription in
                guard subscription.type.isReferredTo else { return isSettled(subscription) }
                return subscription.inFlight?.isRemoval != false && subscription.rejected.isEmpty
                    && subscription.due(desired[subscription.type]).isEmpty
            }
    }

    /// What the proxy has, by type.
    package var status: [TypeURL: TypeStatus] {
        subscriptions.mapValues { subscription in
            TypeStatus(
                sentVersion: subscription.sentVersion, acknowledgedVersion: subscription.acknowledgedVersion,
                isInSync: subscription.inFlight == nil && subscription.rejected.isEmpty
                    && subscription.due(desired[subscription.type]).isEmpty,
                rejected: subscription.rejected.keys.sorted(),
                lastRejection: subscription.rejected.isEmpty ? nil : subscription.lastRejection)
        }
    }
}

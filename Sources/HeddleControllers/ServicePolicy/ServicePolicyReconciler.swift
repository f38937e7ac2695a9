package import FoundationEssentials
import HeddleAPI
package import KubeCore
package import KubeRuntime
import MeshModel
import MeshPlan

/// Renders ServicePolicies into the mesh's objects, keeping the split of a release that is under way.
package struct ServicePolicyReconciler: Reconciler {
    let api: any ClusterAPI
    let stores: ClusterStores
    let routes: RouteWriter
    let proxies: ProxyView
    let now: @Sendable () -> Date

    package init(
        api: any ClusterAPI, stores: ClusterStores, routes: RouteWriter, proxies: ProxyView,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.api = api
        self.stores = stores
        self.routes = routes
        self.proxies = proxies
        self.now = now
    }

    /// What starts a look; what proxies refuse is in no store: `ProxyWatch` asks for a look when it changes.
    package static func sources(_ stores: ClusterStores) -> [Controller.Source] {
        let policies = stores.servicePolicies
        // Every write of a route looks at all policies of its namespace: few, and each costs one comparison.
        @Sendable func all(_ object: KubeObject) -> [ObjectKey] {
            policies.list(namespace: object.namespace).map(\.key)
        }
        return [
            .primary(policies), .watching(stores.virtualServices, all), .watching(stores.destinationRules, all),
            .watching(stores.services, all), .watching(policies) { gone in all(gone) },
        ]
    }

    package func reconcile(_ key: ObjectKey) async throws -> ReconcileResult {
        guard let object = stores.servicePolicies.get(key), !object.isBeingDeleted else {
            return try await withdraw(from: key.namespace) ? .done : .requeue(after: .seconds(1))
        }
        let policy: ServicePolicy
        do throws(FieldError) {
            policy = try ServicePolicy(object)
        } catch {
            try await SpecRejection.write(
                error, ServicePolicy.problems(in: object), on: object, resource: .servicePolicies, api: api, now: now())
            return .done
        }
        let service = ServiceID(namespace: policy.namespace, name: policy.spec.service)
        var status = policy.status
        status.observedGeneration = policy.generation
        func set(_ type: HeddleCondition, _ isTrue: Bool, _ reason: ConditionReason, _ message: String) {
            status.conditions.set(
                Condition(
                    type: type.rawValue, status: isTrue ? .true : .false, reason: reason.rawValue, message: message,
                    observedGeneration: policy.generation), at: now())
        }
        guard stores.services.get(namespace: service.namespace, name: service.name) != nil else {
            let message = "spec.service: Service \(service.name) does not exist. Create it, or correct the name."
            set(.accepted, false, .serviceNotFound, message)
            set(.ready, false, .serviceNotFound, message)
            try await StatusWriter(.servicePolicies, api: api).write(status, to: object)
            return .done
        }
        do {
            // The oldest policy of a Service counts; another one says so.
            guard routes.policy(of: service) == policy.spec else {
                let message = "another, older ServicePolicy is for Service \(service.name). Delete one of the two."
                set(.accepted, false, .fieldConflict, message)
                set(.ready, false, .fieldConflict, message)
                try await StatusWriter(.servicePolicies, api: api).write(status, to: object)
                return .done
            }
            guard let routing = routing(of: service, policy: policy.spec) else { return .requeue(after: .seconds(1)) }
            try await routes.write(routing)
            status.rendered = rendered(routing)
            // The policy may have been for another Service before.
            _ = try await withdraw(from: key.namespace)
            if !status.rendered.isEmpty, let conflict = routes.conflict(on: service) { throw conflict }
        } catch let conflict as RouteWriter.Conflict {
            set(.accepted, false, .routeConflict, conflict.description)
            set(.ready, false, .routeConflict, conflict.description)
            try await StatusWriter(.servicePolicies, api: api).write(status, to: object)
            return .done
        }
        set(.accepted, true, .accepted, "The policy is valid.")
        let sources = RouteWriter.sources(of: service)
        if let refusal = sources.lazy.compactMap(proxies.rejection).first {
            let message = "A proxy refuses what this policy asks for, and keeps its last configuration: \(refusal)"
            set(.programmed, false, .rejectedByProxy, message)
            set(.ready, false, .rejectedByProxy, message)
        } else {
            set(.programmed, true, .programmed, "Written to the mesh.")
            set(.ready, true, .ready, "In effect.")
        }
        try await StatusWriter(.servicePolicies, api: api).write(status, to: object)
        return .done
    }

    /// What the Service's objects are to say, with the split that a release has there now. Nil while the caches show a
    /// route without its subsets, or the other way round: a release is between two writes, and is left alone.
    private func routing(of service: ServiceID, policy: ServicePolicySpec?) -> ServiceRouting? {
        let split = routes.split(of: service)
        if let split, split.stableHash.isEmpty || split.canaryHash.isEmpty { return nil }
        if split == nil, routes.hasSubsets(service) { return nil }
        return ServiceRouting(service: service, policy: policy, split: split)
    }

    /// After a policy is gone: routes of its namespace that no policy or release asks for go too.
    /// - Returns: false when a release is at work on one of them: look again.
    private func withdraw(from namespace: String) async throws -> Bool {
        var isDone = true
        for service in routes.services(in: namespace) where routes.policy(of: service) == nil {
            if let routing = routing(of: service, policy: nil) {
                try await routes.write(routing)
            } else {
                isDone = false
            }
        }
        return isDone
    }

    private func rendered(_ routing: ServiceRouting) -> [RenderedObject] {
        let name = RouteWriter.name(of: routing.service)
        var list: [RenderedObject] = []
        if routing.route != nil {
            list.append(RenderedObject(apiVersion: "networking.istio.io/v1", kind: "VirtualService", name: name))
        }
        if routing.destinationPolicy != nil {
            list.append(RenderedObject(apiVersion: "networking.istio.io/v1", kind: "DestinationRule", name: name))
        }
        return list
    }
}

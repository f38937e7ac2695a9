import HeddleAPI
package import KubeCore
package import MeshPlan

/// The operator's admission webhooks: each a function of the request and of what the caches know.
package struct AdmissionWebhooks: Sendable {
    /// What the webhooks look up.
    package struct Lookups: Sendable {
        package var namespaceLabels: @Sendable (String) -> [String: String]
        package var injector: @Sendable () -> SidecarInjector
        package var excludedNamespaces: @Sendable () -> Set<String>
        /// Called for a pod that gets a sidecar, so that its namespace has the mesh's root certificates in time.
        package var prepareNamespace: @Sendable (String) async -> Void
        /// The Canary that targets a Deployment.
        package var canary: @Sendable (ObjectKey) -> KubeObject?

        package init(
            namespaceLabels: @escaping @Sendable (String) -> [String: String],
            injector: @escaping @Sendable () -> SidecarInjector,
            excludedNamespaces: @escaping @Sendable () -> Set<String>,
            prepareNamespace: @escaping @Sendable (String) async -> Void,
            canary: @escaping @Sendable (ObjectKey) -> KubeObject?
        ) {
            self.namespaceLabels = namespaceLabels
            self.injector = injector
            self.excludedNamespaces = excludedNamespaces
            self.prepareNamespace = prepareNamespace
            self.canary = canary
        }
    }

    package var lookups: Lookups

    package init(lookups: Lookups) { self.lookups = lookups }

    /// Pods, on creation: adds the sidecar where it is asked for.
    package func inject(_ request: AdmissionRequest) async -> AdmissionResponse {
        let decision = InjectionDecision.decide(
            pod: request.object, namespaceLabels: lookups.namespaceLabels(request.namespace),
            excludedNamespaces: lookups.excludedNamespaces())
        switch decision {
        case .inject:
            if !request.isDryRun { await lookups.prepareNamespace(request.namespace) }
            return .changed(from: request.object, to: lookups.injector().inject(request.object))
        case .skip(.invalidValue):
            return AdmissionResponse(warnings: [
                "\(InjectionDecision.injectKey) must be \"true\" or \"false\": the pod gets no sidecar"
            ])
        case .skip:
            return .allowed
        }
    }

    /// Deployments, on update: holds a new template that a Canary is to release, before any pod of it starts.
    package func holdRelease(_ request: AdmissionRequest) -> AdmissionResponse {
        guard request.operation == "UPDATE", let old = request.oldObject,
            let object = lookups.canary(request.object.key), let canary = try? Canary(object),
            case .pause(let change) = ReleaseAdmission.decide(old: old, new: request.object, canary: canary)
        else { return .allowed }
        var held = request.object
        held.spec["paused"] = true
        held.annotations[HeddleAnnotation.heldChange] = change
        var response = AdmissionResponse.changed(from: request.object, to: held)
        response.warnings = [
            "the new template is released by canary/\(canary.name): the Deployment is paused until it is promoted"
        ]
        return response
    }

    /// Heddle's own kinds, on creation and update: the rules that a schema cannot say.
    package func validate(_ request: AdmissionRequest) -> AdmissionResponse {
        let problems: [FieldError] =
            switch request.object.kind {
            case Mesh.resource.kind: Mesh.problems(in: request.object)
            case Adoption.resource.kind: Adoption.problems(in: request.object)
            case Canary.resource.kind: Canary.problems(in: request.object)
            case ServicePolicy.resource.kind: ServicePolicy.problems(in: request.object)
            case MetricTemplate.resource.kind: MetricTemplate.problems(in: request.object)
            default: []
            }
        guard !problems.isEmpty else { return .allowed }
        let list = problems.map(\.description).joined(separator: "; ")
        return .denied("\(request.object.kind) \(request.object.key) is invalid: \(list)")
    }
}

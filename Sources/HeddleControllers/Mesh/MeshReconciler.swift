package import FoundationEssentials
import HeddleAPI
package import KubeCore
package import KubeRuntime

/// Keeps the status of the Mesh: its authority, its proxies, whether its metrics can be read.
package struct MeshReconciler: Reconciler {
    let api: any ClusterAPI
    let stores: ClusterStores
    let proxies: ProxyView
    let authorityNotAfter: @Sendable () -> Date
    let now: @Sendable () -> Date

    package init(
        api: any ClusterAPI, stores: ClusterStores, proxies: ProxyView,
        authorityNotAfter: @escaping @Sendable () -> Date,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.api = api
        self.stores = stores
        self.proxies = proxies
        self.authorityNotAfter = authorityNotAfter
        self.now = now
    }

    /// What starts a look: any Mesh, since one decides whether another holds, and the tracing that it had made. Proxies
    /// and the authority are in no store: `ProxyWatch` asks for a look when they change.
    package static func sources(_ stores: ClusterStores) -> [Controller.Source] {
        let meshes = stores.meshes
        @Sendable func all(_ object: KubeObject) -> [ObjectKey] { meshes.list().map(\.key) }
        return [
            .primary(meshes), .watching(meshes, all),
            .watching(stores.telemetries) { $0.name == telemetryName ? all($0) : [] },
        ]
    }

    package func reconcile(_ key: ObjectKey) async throws -> ReconcileResult {
        guard let object = stores.meshes.get(key), !object.isBeingDeleted else { return .done }
        let mesh: Mesh
        do throws(FieldError) {
            mesh = try Mesh(object)
        } catch {
            try await SpecRejection.write(
                error, Mesh.problems(in: object), on: object, resource: .meshes, api: api, now: now())
            return .done
        }
        var status = mesh.status
        status.observedGeneration = mesh.generation
        let counts = proxies.counts()
        status.proxies.connected = counts.connected
        status.proxies.synced = counts.synced
        status.certificateAuthority.notAfter = Timestamp(authorityNotAfter())
        func set(_ type: HeddleCondition, _ isTrue: Bool, _ reason: ConditionReason, _ message: String) {
            status.conditions.set(
                Condition(
                    type: type.rawValue, status: isTrue ? .true : .false, reason: reason.rawValue, message: message,
                    observedGeneration: mesh.generation), at: now())
        }
        let holds = MeshChoice(stores.meshes.list()).mesh?.name
        if holds != mesh.name {
            set(.ready, false, .severalMeshes, "Mesh \(holds ?? "") holds for this cluster; delete one of the two.")
        } else if mesh.spec.provider != .native {
            set(
                .ready, false, .unsupported,
                "Provider \(mesh.spec.provider.rawValue) cannot be driven by this version yet; Native can.")
        } else {
            set(.accepted, true, .accepted, "The spec is valid.")
            set(.certificateAuthorityReady, true, .certificateAuthorityReady, "The authority signs.")
            set(.ready, true, .ready, "The mesh serves.")
        }
        if holds == mesh.name { try await writeTelemetry(mesh) }
        try await StatusWriter(.meshes, api: api).write(status, to: object)
        return .done
    }

    /// The mesh's sampling as a Telemetry of the root namespace, where a namespace's own can override it.
    private func writeTelemetry(_ mesh: Mesh) async throws {
        let namespace = mesh.spec.rootNamespace
        let current = stores.telemetries.get(namespace: namespace, name: Self.telemetryName)
        guard let tracing = mesh.spec.tracing else {
            if let current, current.labels[HeddleLabel.managedBy] == "heddle" {
                try await api.delete(.telemetries, namespace: namespace, name: current.name, uid: current.uid)
            }
            return
        }
        guard stores.telemetries.isServed else { return }
        let spec: JSONValue = [
            "tracing": [
                [
                    "providers": [["name": .string(tracing.provider.rawValue.lowercased())]],
                    "randomSamplingPercentage": .double(tracing.samplingPercent),
                ]
            ]
        ]
        // The API server may hand a whole number back as one.
        let written = current?.spec["tracing"]?[0]?["randomSamplingPercentage"]?.double
        if written == tracing.samplingPercent { return }
        var object = KubeObject(.telemetries, namespace: namespace, name: Self.telemetryName)
        object.labels = [HeddleLabel.managedBy: "heddle"]
        object.spec = spec
        try await api.apply(.telemetries, object, fieldManager: HeddleFieldManager.mesh, force: true)
    }

    static let telemetryName = "heddle-tracing"
}

package import FoundationEssentials
import HeddleAPI
package import KubeCore
package import KubeRuntime
import MeshPlan

/// Says on a MetricTemplate whether its query can be asked, before a release needs it.
package struct MetricTemplateReconciler: Reconciler {
    let api: any ClusterAPI
    let stores: ClusterStores
    let now: @Sendable () -> Date

    package init(api: any ClusterAPI, stores: ClusterStores, now: @escaping @Sendable () -> Date = { Date() }) {
        self.api = api
        self.stores = stores
        self.now = now
    }

    package static func sources(_ stores: ClusterStores) -> [Controller.Source] { [.primary(stores.metricTemplates)] }

    package func reconcile(_ key: ObjectKey) async throws -> ReconcileResult {
        guard let object = stores.metricTemplates.get(key), !object.isBeingDeleted else { return .done }
        let template: MetricTemplate
        do throws(FieldError) {
            template = try MetricTemplate(object)
            if let first = template.spec.lint().first { throw first }
        } catch {
            try await SpecRejection.write(
                error, MetricTemplate.problems(in: object), on: object, resource: .metricTemplates, api: api, now: now()
            )
            return .done
        }
        var status = template.status
        status.observedGeneration = template.generation
        func set(_ type: HeddleCondition, _ reason: ConditionReason, _ message: String) {
            status.conditions.set(
                Condition(
                    type: type.rawValue, status: .true, reason: reason.rawValue, message: message,
                    observedGeneration: template.generation), at: now())
        }
        set(.accepted, .accepted, "The query can be asked.")
        set(
            .ready, .ready,
            template.spec.tellsTracksApart
                ? "The query can be asked."
                : "The query can be asked. It does not use {{ track }}: its number is that of all pods, the canary's or not."
        )
        try await StatusWriter(.metricTemplates, api: api).write(status, to: object)
        return .done
    }
}

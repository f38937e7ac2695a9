import FoundationEssentials
package import HeddleAPI
package import KubeCore
package import MeshModel
package import MeshPlan

/// The Mesh that holds: the one named `default`, else the oldest. Without one the defaults hold.
package struct MeshChoice: Sendable {
    package var mesh: Mesh?

    package init(_ objects: [KubeObject]) {
        let ordered = objects.filter { !$0.isBeingDeleted }.sorted {
            ($0.name == "default" ? 0 : 1, $0.creationTimestamp ?? .distantPast, $0.name)
                < ($1.name == "default" ? 0 : 1, $1.creationTimestamp ?? .distantPast, $1.name)
        }
        mesh = ordered.lazy.compactMap { try? Mesh($0) }.first
    }

    package var spec: MeshSpec { mesh?.spec ?? MeshSpec() }

    package var settings: MeshSettings {
        var settings = MeshSettings(trustDomain: spec.trustDomain, rootNamespace: spec.rootNamespace)
        if let tracing = spec.tracing, let colon = tracing.address.lastIndex(of: ":"),
            let port = Int(tracing.address[tracing.address.index(after: colon)...])
        {
            let kind: MeshModel.TracingBackend.Kind = tracing.provider == .otlp ? .otlp : .zipkin
            settings.tracing = MeshModel.TracingBackend(
                kind: kind, host: String(tracing.address[..<colon]), port: port,
                path: tracing.path ?? (kind == .otlp ? "/v1/traces" : "/api/v2/spans"),
                samplingPercent: tracing.samplingPercent)
        }
        return settings
    }

    /// What injected pods get.
    package func injection(image: String?) -> SidecarInjector.Settings {
        var settings = SidecarInjector.Settings()
        settings.image = image ?? spec.proxy.image
        settings.trustDomain = spec.trustDomain
        settings.logLevel = spec.proxy.logLevel.rawValue
        settings.drainSeconds = max(0, Int(spec.proxy.drainDuration.seconds.rounded(.up)))
        if let resources = try? JSONValue(encoding: spec.proxy.resources) { settings.resources = resources }
        return settings
    }
}

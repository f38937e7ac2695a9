package import KubeCore

/// The mesh of a cluster, and what Heddle needs to know of it.
package struct MeshSpec: ResourceSpec {
    package static let resource = GroupVersionResource.meshes

    package enum Provider: String, Sendable, Codable, CaseIterable {
        case native = "Native"
        case istio = "Istio"
        case linkerd = "Linkerd"
        case consul = "Consul"
    }

    package var provider = Provider.native
    /// Of the SPIFFE identities: `spiffe://<trustDomain>/ns/<namespace>/sa/<account>`.
    package var trustDomain = "cluster.local"
    /// Where mesh-wide objects live.
    package var rootNamespace = "heddle-system"
    /// The control plane's revision, for Istio installations that have several.
    package var revision: String?
    package var clusterName = "default"
    /// Clusters on the same network reach each other's pods directly.
    package var network: String?
    package var prometheus: PrometheusSource?
    package var tracing: TracingBackend?
    package var proxy = ProxySettings()
    /// Never meshed, beside `kube-system` and the operator's own.
    package var excludedNamespaces: [String] = []

    package init() {}
}

package struct PrometheusSource: SchemaDescribed {
    /// Base URL, e.g. `http://prometheus.monitoring:9090`.
    package var address: String
    /// How long one query may take.
    package var timeout: GoDuration = "5s"

    package init(address: String) { self.address = address }
}

package struct TracingBackend: SchemaDescribed {
    package enum Provider: String, Sendable, Codable, CaseIterable {
        case otlp = "OTLP"
        case zipkin = "Zipkin"
    }

    package var provider = Provider.otlp
    /// `host:port`.
    package var address: String
    /// Zipkin, and OTLP over HTTP: the path that spans are posted to; nil uses the provider's own.
    package var path: String?
    /// Share of requests that are traced, in percent.
    package var samplingPercent = 1.0

    package init(provider: Provider = .otlp, address: String, samplingPercent: Double = 1.0) {
        self.provider = provider
        self.address = address
        self.samplingPercent = samplingPercent
    }
}

/// The sidecars of the native mesh.
package struct ProxySettings: SchemaDescribed {
    package enum LogLevel: String, Sendable, Codable, CaseIterable {
        case trace, debug, info, warning, error, critical, off
    }

    /// Holds `heddle-agent`, Envoy and nft.
    package var image = "heddle-agent:0.1.0"
    package var logLevel = LogLevel.warning
    package var resources = ProxyResources()
    /// Worker threads; 0: one a core of the CPU limit.
    package var concurrency = 2
    /// Time that open requests get when a pod ends.
    package var drainDuration: GoDuration = "5s"
    /// Longest life of a workload's certificate; sidecars renew after half of it. 1 minute to 24 hours.
    package var certificateLifetime: GoDuration = "24h"

    package init() {}
}

package struct ProxyResources: SchemaDescribed {
    package var requests = ResourceAmounts(cpu: "20m", memory: "48Mi")
    package var limits = ResourceAmounts(cpu: nil, memory: "256Mi")

    package init() {}
}

package struct ResourceAmounts: SchemaDescribed {
    /// Cores; nil: unset.
    package var cpu: Quantity?
    /// Bytes; nil: unset.
    package var memory: Quantity?

    package init(cpu: Quantity? = nil, memory: Quantity? = nil) {
        self.cpu = cpu
        self.memory = memory
    }
}

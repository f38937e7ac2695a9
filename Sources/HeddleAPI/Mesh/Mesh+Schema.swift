import KubeCore

extension MeshSpec {
    package static let schema = Schema.object(
        "The mesh of a cluster, and what Heddle needs to know of it.",
        [
            .field(
                "provider",
                .choice(
                    "The mesh that Heddle drives; Native: Heddle is the mesh.", of: Provider.allCases, default: .native)
            ),
            .field(
                "trustDomain",
                .string(
                    "The trust domain of SPIFFE identities.", pattern: .dnsName, maxLength: 253,
                    default: "cluster.local")),
            .field(
                "rootNamespace",
                .string(
                    "The namespace of mesh-wide objects.", pattern: .dnsLabel, maxLength: 63, default: "heddle-system")),
            .field("revision", .string("Istio: the control plane's revision.", pattern: .dnsLabel, maxLength: 63)),
            .field(
                "clusterName",
                .string(
                    "This cluster's name in metrics and federation.", pattern: .dnsName, maxLength: 253,
                    default: "default")),
            .field(
                "network",
                .string(
                    "This cluster's network; clusters on one network reach each other's pods.", pattern: .dnsName,
                    maxLength: 253)),
            .field("prometheus", PrometheusSource.schema),
            .field("tracing", TracingBackend.schema),
            .field("proxy", ProxySettings.schema.defaulting(to: [:])),
            .field(
                "excludedNamespaces",
                .list(
                    "Namespaces that are never meshed, beside kube-system and the operator's.",
                    of: .string("A namespace.", pattern: .dnsLabel, maxLength: 63), type: .set, maxItems: 256
                ).defaulting(to: [])),
        ],
        rules: [
            .init("self.provider == 'Istio' || !has(self.revision)", "revision counts only with provider: Istio")
        ])
}

extension PrometheusSource {
    package static let schema = Schema.object(
        "The Prometheus that has the mesh's metrics.",
        [
            .required("address", .string("Base URL.", pattern: .httpURL, maxLength: 2048)),
            .field("timeout", .duration("Longest time for one query.", default: "5s")),
        ])
}

extension TracingBackend {
    package static let schema = Schema.object(
        "Where proxies send traces.",
        [
            .field("provider", .choice("The protocol.", of: Provider.allCases, default: .otlp)),
            .required("address", .string("host:port of the collector.", pattern: .hostPort, maxLength: 320)),
            .field("path", .string("Path that spans are posted to; without it, the protocol's own.", maxLength: 1024)),
            .field(
                "samplingPercent",
                .number("Share of requests that are traced, in percent.", minimum: 0, maximum: 100, default: 1)),
        ])
}

extension ProxySettings {
    package static let schema = Schema.object(
        "The native mesh's sidecars.",
        [
            .field(
                "image",
                .string("The image of the sidecar.", minLength: 1, maxLength: 1024, default: ProxySettings().image)),
            .field("logLevel", .choice("Envoy's log level.", of: LogLevel.allCases, default: .warning)),
            .field("resources", ProxyResources.schema.defaulting(to: [:])),
            .field(
                "concurrency",
                .integer("Worker threads; 0: one a core of the CPU limit.", minimum: 0, maximum: 64, default: 2)),
            .field("drainDuration", .duration("Time that open requests get when a pod ends.", default: "5s")),
            .field(
                "certificateLifetime",
                .duration(
                    "Longest life of a workload's certificate, 1m to 24h; sidecars renew it after half of it at the "
                        + "earliest. A change counts from each sidecar's next renewal.", default: "24h")),
        ],
        rules: [
            .init(
                "!has(self.certificateLifetime) || (duration(self.certificateLifetime) >= duration('1m') && "
                    + "duration(self.certificateLifetime) <= duration('24h'))",
                "certificateLifetime is from 1m to 24h")
        ])
}

extension ProxyResources {
    package static let schema = Schema.object(
        "Resources of the sidecar's container.",
        [
            .field(
                "requests",
                ResourceAmounts.schema.described("What is reserved.").defaulting(to: ["cpu": "20m", "memory": "48Mi"])),
            .field(
                "limits",
                ResourceAmounts.schema.described("What is allowed at most.").defaulting(to: ["memory": "256Mi"])),
        ])
}

extension ResourceAmounts {
    package static let schema = Schema.object(
        "CPU and memory.",
        [
            .field("cpu", .quantity("In cores.")),
            .field("memory", .quantity("In bytes.")),
        ])
}

extension MeshStatus {
    package static let schema = Schema.object(
        "The state of the mesh.",
        [
            .field("observedGeneration", .observedGeneration),
            .field("proxies", Proxies.schema.absent([:])),
            .field("certificateAuthority", CertificateAuthority.schema.absent([:])),
            .field("conditions", .conditions),
        ])
}

extension MeshStatus.Proxies {
    package static let schema = Schema.object(
        "The native mesh's sidecars.",
        [
            .field("connected", .integer("Sidecars with an open configuration stream.", minimum: 0).absent(0)),
            .field("synced", .integer("Sidecars that acknowledged their newest configuration.", minimum: 0).absent(0)),
        ])
}

extension MeshStatus.CertificateAuthority {
    package static let schema = Schema.object(
        "The native mesh's certificate authority.",
        [.field("notAfter", .time("The end of the signing certificate."))])
}

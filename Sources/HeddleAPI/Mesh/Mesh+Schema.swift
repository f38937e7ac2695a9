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
            .init(
                "self.provider == 'Istio' || !has(self.revision)", "counts only with provider: Istio; remove it",
                at: ".revision", reason: .forbidden)
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
                .number("Share of requests that are traced.", unit: .percent, minimum: 0, maximum: 100, default: 1)),
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
                .integer(
                    "Worker threads; 0: one a core of the CPU limit.", unit: .threads, minimum: 0, maximum: 64,
                    default: 2)),
            .field("drainDuration", .duration("Time that open requests get when a pod ends.", default: "5s")),
            .field(
                "certificateLifetime",
                .duration(
                    "Longest life of a workload's certificate, 1m to 24h; sidecars renew it after half of it at the "
                        + "earliest. A change counts from each sidecar's next renewal.", default: "24h",
                    rules: [
                        .init(
                            "duration(self) >= duration('1m') && duration(self) <= duration('24h')",
                            "must be from 1m to 24h", messageExpression: "self + ' must be from 1m to 24h'")
                    ])),
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
        ],
        rules: ["cpu", "memory"].map { name in
            .init(
                "!has(self.requests) || !has(self.limits) || !has(self.requests.\(name)) || !has(self.limits.\(name)) "
                    + "|| quantity(self.requests.\(name)).compareTo(quantity(self.limits.\(name))) <= 0",
                "requests.\(name) is more than limits.\(name); lower it or raise the limit",
                messageExpression:
                    "self.requests.\(name) + ' is more than the limit of ' + self.limits.\(name) "
                    + "+ '; lower it or raise the limit'",
                at: ".requests.\(name)")
        })
}

extension ResourceAmounts {
    package static let schema = Schema.object(
        "CPU and memory.",
        [
            .field("cpu", .quantity("CPU time.", unit: .cores)),
            .field("memory", .quantity("Memory.", unit: .bytes)),
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
            .field(
                "connected",
                .integer("Sidecars with an open configuration stream.", unit: .sidecars, minimum: 0).absent(0)),
            .field(
                "synced",
                .integer("Sidecars that acknowledged their newest configuration.", unit: .sidecars, minimum: 0).absent(
                    0)),
        ])
}

extension MeshStatus.CertificateAuthority {
    package static let schema = Schema.object(
        "The native mesh's certificate authority.",
        [.field("notAfter", .time("The end of the signing certificate."))])
}

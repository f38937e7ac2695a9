import HeddleAPI
package import KubeCore

/// The sidecars as targets for Prometheus' HTTP service discovery, with the labels that Heddle's queries use. For a
/// Prometheus that cannot ask the API server itself; one that can finds the same pods by the label `heddle.dev/injected`.
package enum PrometheusTargets {
    package static let statsPort = 15090

    package static func list(_ pods: [KubeObject]) -> JSONValue {
        .array(
            pods.compactMap { pod in
                guard pod.labels[HeddleLabel.injected] == "true", let address = pod.status["podIP"]?.string,
                    !address.isEmpty
                else { return nil }
                return [
                    "targets": [.string("\(address):\(statsPort)")],
                    "labels": [
                        "__metrics_path__": "/stats/prometheus", "namespace": .string(pod.namespace),
                        "pod": .string(pod.name), "app": .string(app(of: pod)),
                        "pod_template_hash": .string(pod.labels[HeddleLabel.podTemplateHash] ?? ""),
                    ],
                ]
            })
    }

    private static func app(of pod: KubeObject) -> String {
        pod.labels["app.kubernetes.io/name"] ?? pod.labels["app"] ?? pod.name
    }
}

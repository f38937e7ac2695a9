import Foundation
import KubeCore

/// The files in /etc that every container of a pod gets.
struct PodFiles {
    let pod: KubeObject
    let podIP: String

    var hosts: String {
        var lines = [
            "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback",
            "\(podIP)\t\(pod.spec["hostname"]?.string ?? pod.name)",
        ]
        for alias in pod.spec["hostAliases"]?.array ?? [] {
            let names = alias["hostnames"]?.array?.compactMap(\.string) ?? []
            if let ip = alias["ip"]?.string, !names.isEmpty { lines.append("\(ip)\t\(names.joined(separator: "\t"))") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    var resolver: String {
        let domain = ClusterNames.domain
        return
            "nameserver \(NodeAddresses.node)\nsearch \(pod.namespace).svc.\(domain) svc.\(domain) \(domain)\noptions ndots:5\n"
    }

    func write(to directory: String) throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try hosts.write(toFile: directory + "/hosts", atomically: false, encoding: .utf8)
        try resolver.write(toFile: directory + "/resolv.conf", atomically: false, encoding: .utf8)
        // For `heddle sandbox exec --pod`.
        try "\(pod.key) \(podIP)".write(toFile: directory + "/address", atomically: false, encoding: .utf8)
    }
}

/// The service account's token, the cluster's certificate and the namespace at their usual place, for pods that do not
/// say otherwise; in a cluster the ServiceAccount admission plug-in adds the same volume.
enum ServiceAccountMount {
    static let path = "/var/run/secrets/kubernetes.io/serviceaccount"
    private static let volume = "kube-api-access"

    static func adding(to pod: KubeObject) -> KubeObject {
        guard pod.spec["automountServiceAccountToken"]?.bool ?? true else { return pod }
        var pod = pod
        var spec = pod.spec
        var isUsed = false
        for field in ["containers", "initContainers"] {
            guard let containers = spec[field]?.array else { continue }
            spec[field] = .array(
                containers.map { container in
                    var container = container
                    let mounts = container["volumeMounts"]?.array ?? []
                    guard !mounts.contains(where: { $0["mountPath"]?.string == path }) else { return container }
                    isUsed = true
                    container["volumeMounts"] = .array(
                        mounts + [["name": .string(volume), "mountPath": .string(path), "readOnly": true]])
                    return container
                })
        }
        guard isUsed else { return pod }
        spec["volumes"] = .array(
            (spec["volumes"]?.array ?? []) + [
                [
                    "name": .string(volume),
                    "projected": [
                        "sources": [
                            ["serviceAccountToken": ["path": "token", "expirationSeconds": 3607]],
                            [
                                "configMap": [
                                    "name": .string(NamespaceController.rootCertificateName), "optional": true,
                                ]
                            ],
                            [
                                "downwardAPI": [
                                    "items": [["path": "namespace", "fieldRef": ["fieldPath": "metadata.namespace"]]]
                                ]
                            ],
                        ]
                    ],
                ]
            ])
        pod.spec = spec
        return pod
    }
}

extension SandboxNamespace {
    /// The address of a pod that runs in the sandbox of a directory, from the node's own files.
    package static func podAddress(namespace: String, name: String, directory: String) -> String? {
        let pods = (try? FileManager.default.contentsOfDirectory(atPath: directory + "/pods")) ?? []
        for uid in pods {
            guard let text = try? String(contentsOfFile: "\(directory)/pods/\(uid)/etc/address", encoding: .utf8) else {
                continue
            }
            let words = text.split(separator: " ").map(String.init)
            if words.count == 2, words[0] == "\(namespace)/\(name)" { return words[1] }
        }
        return nil
    }
}

import Foundation
import HeddleAPI
import KubeCore

/// What goes wrong on purpose, and what renews itself, while traffic flows.
extension Story {
    func describe(_ outage: DemoCluster.Outage) -> String {
        let watches = "\(outage.resumed) watches went on where they were, \(outage.expired) began anew"
        return (outage.isHealed ? watches : watches + ", and some are still closed")
            + String(format: ", after %.1f s", outage.seconds)
    }

    /// Webhooks, certificates and configuration come from both replicas.
    func countReplicas() async throws {
        let meshed = try await cluster.api.list(
            .pods, namespace: "shop", labels: LabelSelector(matchLabels: [HeddleLabel.injected: "true"])
        ).items.filter { !$0.isBeingDeleted }.count
        let states = try await wait("the proxies of both replicas are in sync", seconds: 60) {
            let states = await cluster.operators.states()
            let synced = states.reduce(0) { $0 + $1.synced }
            return states.count == 2 && synced >= meshed ? states : nil
        }
        let known = try await wait("the leader knows its peer's proxies", seconds: 30) {
            let status = try Mesh(try await cluster.api.get(.meshes, name: "default")).status
            return status.proxies.connected >= meshed ? status.proxies.connected : nil
        }
        let shares = states.map { "\($0.replica.identity)\($0.leads ? " (leads)" : "") \($0.proxies)" }
        promises.add(
            "Two operator replicas share the proxies, the leader knows all",
            measured: shares.joined(separator: ", ") + "; known to the leader: \(known)",
            holds: states.count(where: \.leads) == 1 && states.allSatisfy { $0.certificates > 0 })
    }

    /// Certificates beyond each sidecar's first, and whether the Envoys really use them.
    func countRenewals() async throws {
        let lifetime = try Mesh(try await cluster.api.get(.meshes, name: "default")).spec.proxy.certificateLifetime
        let issued = await cluster.operators.states().reduce(forgottenCertificates) { $0 + $1.certificates }
        let logs = try FileManager.default.contentsOfDirectory(atPath: "\(cluster.directory)/logs")
        let sidecars = logs.count {
            FileManager.default.fileExists(atPath: "\(cluster.directory)/logs/\($0)/heddle-proxy")
        }
        let pods = try await cluster.api.list(
            .pods, namespace: "shop", labels: LabelSelector(matchLabels: [HeddleLabel.injected: "true"])
        ).items.filter { !$0.isBeingDeleted }
        var (old, renewed) = (0, 0)
        for pod in pods {
            // A sidecar renews between half and four fifths of the lifetime.
            guard let start = pod.creationTimestamp, let ip = pod.status["podIP"]?.string,
                Date().timeIntervalSince(start) > lifetime.seconds * 0.8 + 20
            else { continue }
            old += 1
            // Certificates are backdated by a minute.
            if let begin = try await certificateStart(podIP: ip),
                begin.timeIntervalSince(start) + 60 > lifetime.seconds * 0.4
            {
                renewed += 1
            }
        }
        promises.add(
            "Certificates (valid for \(lifetime)) rotate under traffic",
            measured: "\(issued - sidecars) rotations in \(sidecars) sidecars; of \(old) that are old enough "
                + "\(renewed) Envoys use a renewed one",
            holds: old > 0 && renewed == old && issued > sidecars)
    }

    /// From when the oldest certificate is valid that a pod's Envoy uses for its workload.
    private func certificateStart(podIP: String) async throws -> Date? {
        let answer = try await cluster.call("http://127.0.0.1:15000/certs", fromPod: podIP)
        guard answer.succeeded, let brace = answer.output.firstIndex(of: "{") else { return nil }
        let page = try JSONValue.parse(Array(answer.output[brace...].utf8))
        return (page["certificates"]?.array ?? []).flatMap { $0["cert_chain"]?.array ?? [] }
            .compactMap { $0["valid_from"]?.string.flatMap(KubeTime.parse) }.min()
    }
}

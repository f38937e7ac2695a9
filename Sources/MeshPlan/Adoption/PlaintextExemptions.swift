import HeddleAPI
import KubeCore

/// Which plaintext is excused by an exception of the Adoption, and which ports must stay permissive for it.
struct PlaintextExemptions {
    let active: [AdoptionException]
    let expired: [AdoptionException]

    init(_ exceptions: [AdoptionException], at now: Timestamp) {
        // The last day counts whole, in UTC; RFC 3339 dates compare as text.
        let today = String(now.description.prefix(10))
        active = exceptions.filter { $0.expires >= today }
        expired = exceptions.filter { $0.expires < today }
    }

    static func covers(_ exception: AdoptionException, _ seen: PlaintextObservation) -> Bool {
        isClient(exception.client, of: seen) && (exception.workload ?? seen.workload) == seen.workload
            && (exception.port == nil || exception.port == seen.port)
    }

    /// `name` matches the workload of that name in any namespace; `namespace/name` and addresses match exactly.
    private static func isClient(_ client: String, of seen: PlaintextObservation) -> Bool {
        client == seen.client || client == seen.address
            || (!client.contains("/") && seen.client.contains("/") && seen.client.hasSuffix("/" + client))
    }

    /// Observations that nothing excuses, the ones that an expired exception once excused included.
    func unexcused(_ plaintext: [PlaintextObservation]) -> [PlaintextObservation] {
        plaintext.filter { seen in seen.count > 0 && !active.contains { Self.covers($0, seen) } }
    }

    func expiredException(for seen: PlaintextObservation) -> AdoptionException? {
        expired.first { Self.covers($0, seen) }
    }

    /// Ports of a workload that stay permissive. An expired exception keeps its ports open while its client is still
    /// seen: expiry holds the adoption up, and cuts nobody off.
    func permissivePorts(_ workload: WorkloadFacts, plaintext: [PlaintextObservation]) -> Set<Int> {
        let lingering = expired.filter { exception in
            plaintext.contains { $0.workload == workload.name && $0.count > 0 && Self.covers(exception, $0) }
        }
        return (active + lingering).reduce(into: []) { ports, exception in
            guard exception.workload == nil || exception.workload == workload.name else { return }
            if let port = exception.port {
                if exception.workload != nil || workload.ports.contains(port) { ports.insert(port) }
            } else {
                ports.formUnion(workload.ports)
            }
        }
    }
}

package import FoundationEssentials
package import KubeCore
import Synchronization

/// What the other replicas say of the proxies that are connected to them (`/debug/proxies`), so that the leader knows all.
///
/// A replica that does not answer is forgotten after some seconds: its proxies then count as unknown, which holds a phase
/// and never advances one.
package final class PeerProxies: Sendable {
    package struct Proxy: Sendable, Hashable {
        package var pod: ObjectKey
        package var isSynced: Bool
        package var certificateNotAfter: Date?
    }

    private struct Answer {
        var at: Date
        var proxies: [Proxy]
        /// Of the certificates that the replica signed, for pods whose proxy is connected to any replica.
        var certificates: [ObjectKey: Date]
    }

    private let answers = Mutex<[String: Answer]>([:])
    /// An answer counts for so long, in seconds.
    package static let lifetime = 10.0
    /// What this replica sees, another one sees at most so much later, in seconds: a watch event's way, and the time in
    /// which changes are merged.
    package static let lag = 0.5

    package init() {}

    /// Takes in a replica's page.
    /// - Parameter now: when it was asked for.
    package func note(_ page: JSONValue, from replica: String, at now: Date) {
        let proxies = (page["proxies"]?.array ?? []).compactMap(Self.read)
        var certificates: [ObjectKey: Date] = [:]
        for entry in page["certificates"]?.array ?? [] {
            guard let name = entry["podName"]?.string, let end = entry["notAfter"]?.string.flatMap(KubeTime.parse)
            else { continue }
            certificates[ObjectKey(namespace: entry["namespace"]?.string ?? "", name: name)] = end
        }
        answers.withLock { answers in
            answers = answers.filter { now.timeIntervalSince($0.value.at) < Self.lifetime }
            answers[replica] = Answer(at: now, proxies: proxies, certificates: certificates)
        }
    }

    /// Forgets replicas that are gone.
    package func keep(_ replicas: Set<String>) {
        answers.withLock { $0 = $0.filter { replicas.contains($0.key) } }
    }

    /// Proxies of other replicas, as far as their answers still count.
    package func proxies(at now: Date) -> [Proxy] { living(at: now).flatMap(\.proxies) }

    /// Whether the proxies of other replicas have everything that this replica saw at `change`: each replica was asked
    /// some time (`lag`) after it, and says so.
    package func isSynced(since change: Date, at now: Date) -> Bool {
        living(at: now).allSatisfy { answer in
            answer.proxies.isEmpty
                || (answer.at.timeIntervalSince(change) >= Self.lag && answer.proxies.allSatisfy(\.isSynced))
        }
    }

    /// The end of the newest certificate that other replicas know of for a pod.
    package func certificateNotAfter(of pod: ObjectKey, at now: Date) -> Date? {
        living(at: now).flatMap { answer in
            [answer.certificates[pod]] + answer.proxies.filter { $0.pod == pod }.map(\.certificateNotAfter)
        }.compactMap { $0 }.max()
    }

    /// This replica's own page: what `SnapshotHub.debugJSON` says, with the certificates that it signed.
    package static func page(_ debug: String, issued: IssuedCertificates) -> String {
        guard var page = try? JSONValue.parse(Array(debug.utf8)) else { return debug }
        page["certificates"] = .array(
            issued.ends.sorted { $0.key < $1.key }.map { pod, end in
                [
                    "namespace": .string(pod.namespace), "podName": .string(pod.name),
                    "notAfter": .string(KubeTime.format(end)),
                ]
            })
        return page.serialized()
    }

    private func living(at now: Date) -> [Answer] {
        answers.withLock { $0.values.filter { now.timeIntervalSince($0.at) < Self.lifetime } }
    }

    private static func read(_ json: JSONValue) -> Proxy? {
        guard let proxy = json["proxy"], let name = proxy["podName"]?.string else { return nil }
        return Proxy(
            pod: ObjectKey(namespace: proxy["namespace"]?.string ?? "", name: name),
            isSynced: json["synced"]?.bool ?? false,
            certificateNotAfter: proxy["certificateNotAfter"]?.double.map(Date.init(timeIntervalSinceReferenceDate:)))
    }
}

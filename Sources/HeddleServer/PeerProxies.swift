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

    private let answers = Mutex<[String: (at: Date, proxies: [Proxy])]>([:])
    /// An answer counts for so long, in seconds.
    package static let lifetime = 10.0

    package init() {}

    /// Takes in a replica's page.
    package func note(_ page: JSONValue, from replica: String, at now: Date) {
        let proxies = (page["proxies"]?.array ?? []).compactMap(Self.read)
        answers.withLock { answers in
            answers = answers.filter { now.timeIntervalSince($0.value.at) < Self.lifetime }
            answers[replica] = (now, proxies)
        }
    }

    /// Proxies of other replicas, as far as their answers still count.
    package func proxies(at now: Date) -> [Proxy] {
        answers.withLock { $0.values.filter { now.timeIntervalSince($0.at) < Self.lifetime }.flatMap(\.proxies) }
    }

    private static func read(_ json: JSONValue) -> Proxy? {
        guard let proxy = json["proxy"], let name = proxy["podName"]?.string else { return nil }
        return Proxy(
            pod: ObjectKey(namespace: proxy["namespace"]?.string ?? "", name: name),
            isSynced: json["synced"]?.bool ?? false,
            certificateNotAfter: proxy["certificateNotAfter"]?.double.map(Date.init(timeIntervalSinceReferenceDate:)))
    }
}

import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeTesting
import MeshModel

/// What the API server has to tell its watchers, in order, kind by kind. An operator's caches are filled from it, as far
/// behind as a test wants.
final class EventJournal {
    struct Entry {
        var event: WatchEvent
        var at: Date
    }

    static let kinds: [GroupVersionResource] = [
        .canaries, .adoptions, .servicePolicies, .deployments, .replicaSets, .pods, .services, .virtualServices,
        .destinationRules, .peerAuthentications,
    ]

    private(set) var entries: [[Entry]]
    private var known: [[ObjectKey: KubeObject]]
    private let cluster: InMemoryCluster

    init(_ cluster: InMemoryCluster) {
        self.cluster = cluster
        entries = Array(repeating: [], count: Self.kinds.count)
        known = Array(repeating: [:], count: Self.kinds.count)
    }

    /// Takes down what has changed since the last time; called after every write, so that no state is left out.
    func capture(at now: Date) {
        for (kind, resource) in Self.kinds.enumerated() {
            let objects = cluster.objects(resource)
            var gone = known[kind]
            for object in objects {
                let old = gone.removeValue(forKey: object.key)
                if let old, old.uid != object.uid {
                    entries[kind].append(Entry(event: WatchEvent(.deleted, old), at: now))
                }
                guard old?.resourceVersion != object.resourceVersion else { continue }
                let isNew = old == nil || old?.uid != object.uid
                entries[kind].append(Entry(event: WatchEvent(isNew ? .added : .modified, object), at: now))
                known[kind][object.key] = object
            }
            for (key, old) in gone.sorted(by: { $0.key < $1.key }) {
                entries[kind].append(Entry(event: WatchEvent(.deleted, old), at: now))
                known[kind][key] = nil
            }
        }
    }

    /// The objects of a kind as they were after its first `count` events.
    func state(_ kind: Int, after count: Int) -> [KubeObject] {
        var objects: [ObjectKey: KubeObject] = [:]
        for entry in entries[kind].prefix(count) {
            objects[entry.event.object.key] = entry.event.kind == .deleted ? nil : entry.event.object
        }
        return Array(objects.values)
    }
}

/// How far an operator's caches are behind.
struct Staleness: Sendable, CustomStringConvertible {
    /// The kinds that are behind; nil: all.
    var kind: GroupVersionResource?
    /// How many events of a kind are held back.
    var events = 0
    /// For how long, in seconds of the world, from the event or the operator's start on.
    var seconds = 0.0
    /// Every event comes twice, with the state before it in between, as from a watch that was resumed too early.
    var isRepeating = false

    static let none = Staleness()

    func holds(_ resource: GroupVersionResource) -> Bool { events > 0 && (kind == nil || kind == resource) }

    var description: String {
        if isRepeating { return "every event twice" }
        return events == 0 ? "fresh caches" : "\(kind?.resource ?? "all kinds") \(events) events behind"
    }
}

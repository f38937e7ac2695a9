package import FoundationEssentials
package import KubeCore
package import Logging
import ServiceLifecycle
import Synchronization

/// Tells people what happened to an object, as core Events that `kubectl describe` and `kubectl get events` show.
///
/// `record` is for transitions; it returns at once and never fails. What repeats becomes a count on the event that is
/// there, written at most once each `repeatInterval`: a reconciler that says the same again and again writes nothing in
/// between. `run()` writes; when it cannot keep up, or the API refuses, events are dropped and the log says so.
package final class EventRecorder: Service {
    package enum Kind: String, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// An event to be written.
    struct Entry: Sendable {
        var reference: JSONValue
        var namespace: String
        var kind: Kind
        var reason: String
        var message: String
        var date: Date

        var identity: String {
            [
                reference["uid"]?.string, reference["kind"]?.string, namespace, reference["name"]?.string,
                kind.rawValue, reason, message,
            ]
            .map { $0 ?? "" }.joined(separator: "\u{1F}")
        }
    }

    private let api: any ClusterAPI
    private let component: String
    private let instance: String
    private let date: @Sendable () -> Date
    private let logger: Logger
    private let mailbox: AsyncStream<Entry>.Continuation
    private let entries: AsyncStream<Entry>
    private let series: Mutex<EventSeries>

    /// - Parameters:
    ///   - component: who reports, e.g. `heddle-canary`.
    ///   - instance: which replica, e.g. the pod's name.
    ///   - repeatInterval: how long repetitions of one event are only counted.
    package init(
        api: any ClusterAPI, component: String, instance: String, logger: Logger,
        repeatInterval: Duration = .seconds(300),
        date: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.api = api
        self.component = component
        self.instance = instance
        self.date = date
        self.logger = logger
        series = Mutex(EventSeries(repeatInterval: repeatInterval))
        (entries, mailbox) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1000))
    }

    /// - Parameters:
    ///   - reason: PascalCase, from the closed enum of the object's conditions.
    ///   - message: a sentence.
    package func record(_ kind: Kind = .normal, reason: String, message: String, on object: KubeObject) {
        let reference: JSONValue = [
            "apiVersion": .string(object.apiVersion), "kind": .string(object.kind), "name": .string(object.name),
            "namespace": .string(object.namespace), "uid": .string(object.uid),
            "resourceVersion": .string(object.resourceVersion),
        ]
        let entry = Entry(
            reference: reference, namespace: object.namespace.isEmpty ? "default" : object.namespace, kind: kind,
            reason: reason, message: String(message.prefix(1024)), date: date())
        guard series.withLock({ $0.admit(entry) }) else { return }
        if case .dropped = mailbox.yield(entry) {
            series.withLock { $0.forget(entry) }
            logger.debug("event dropped", metadata: ["reason": "\(reason)", "object": "\(object.key)"])
        }
    }

    package func run() async {
        for await entry in entries.cancelOnGracefulShutdown() { await write(entry) }
    }

    private func write(_ entry: Entry) async {
        do throws(APIError) {
            if let (name, count) = series.withLock({ $0.repetition(of: entry) }) {
                do throws(APIError) {
                    _ = try await api.patch(
                        .events, namespace: entry.namespace, name: name,
                        ["count": .int(count), "lastTimestamp": .string(KubeTime.format(entry.date))])
                    return
                } catch  where error.isNotFound {
                    // Events live an hour: this is a new one.
                }
            }
            let event = event(for: entry)
            _ = try await api.create(.events, event)
            series.withLock { $0.written(entry, name: event.name) }
        } catch {
            series.withLock { $0.forget(entry) }
            logger.debug("event not written", metadata: ["reason": "\(entry.reason)", "error": "\(error)"])
        }
    }

    private func event(for entry: Entry) -> KubeObject {
        let stamp = String(Int(entry.date.timeIntervalSince1970 * 1_000_000), radix: 16)
        let digest = String(
            entry.identity.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 },
            radix: 16)
        let prefix = (entry.reference["name"]?.string ?? "").prefix(200)
        var event = KubeObject(.events, namespace: entry.namespace, name: "\(prefix).\(stamp).\(digest)")
        let time = JSONValue.string(KubeTime.format(entry.date))
        let fields: [String: JSONValue] = [
            "involvedObject": entry.reference, "type": .string(entry.kind.rawValue), "reason": .string(entry.reason),
            "message": .string(entry.message), "count": 1, "firstTimestamp": time, "lastTimestamp": time,
            "source": ["component": .string(component)], "reportingComponent": .string(component),
            "reportingInstance": .string(instance),
        ]
        for (name, value) in fields { event.json[name] = value }
        return event
    }
}

/// Which events were written, and which of their repetitions are due. Bounded: the longest unheard go first.
struct EventSeries: Sendable {
    private struct Known {
        var name: String?
        var count: Int
        var writtenAt: Date
        var heardAt: Date
    }

    private let repeatInterval: Duration
    private let capacity: Int
    private var known: [String: Known] = [:]

    init(repeatInterval: Duration, capacity: Int = 2048) {
        self.repeatInterval = repeatInterval
        self.capacity = capacity
    }

    var count: Int { known.count }

    /// Counts the entry. True when it is to be written now.
    mutating func admit(_ entry: EventRecorder.Entry) -> Bool {
        let id = entry.identity
        guard var seen = known[id] else {
            if known.count >= capacity {
                let oldest = known.sorted { $0.value.heardAt < $1.value.heardAt }.prefix(capacity / 4)
                for (key, _) in oldest { known[key] = nil }
            }
            known[id] = Known(name: nil, count: 1, writtenAt: entry.date, heardAt: entry.date)
            return true
        }
        seen.count += 1
        seen.heardAt = entry.date
        let isDue = entry.date.timeIntervalSince(seen.writtenAt) >= repeatInterval.inSeconds
        if isDue { seen.writtenAt = entry.date }
        known[id] = seen
        return isDue
    }

    /// The event that the entry repeats, and how often it has happened; nil for a new one.
    func repetition(of entry: EventRecorder.Entry) -> (name: String, count: Int)? {
        guard let seen = known[entry.identity], let name = seen.name else { return nil }
        return (name, seen.count)
    }

    mutating func written(_ entry: EventRecorder.Entry, name: String) { known[entry.identity]?.name = name }

    /// It was not written: the next time counts as new.
    mutating func forget(_ entry: EventRecorder.Entry) { known[entry.identity] = nil }
}

import FoundationEssentials

/// Which events are written: new ones, and of repetitions those that are due. Pure, and bounded in memory.
///
/// Three rules, in this order, with the numbers of client-go:
/// - the same event again within `repeatInterval` is only counted;
/// - past ten different messages of one reason on one object in ten minutes, further ones become one event,
///   `(combined from similar events): <the last message>`, so that a message with a changing number makes no flood;
/// - one object's events are written 25 in a row at most, and then one each five minutes: an object that goes mad costs
///   the API nothing, and other objects' events nothing either.
struct EventSeries: Sendable {
    enum Admission: Sendable, Hashable {
        /// With the message as it is to be written.
        case write(EventRecorder.Entry)
        /// A repetition that waits for its write.
        case counted
        case dropped
    }

    private struct Known {
        var name: String?
        var count: Int
        var writtenAt: Date
    }

    private struct Similar {
        var messages: Set<String> = []
        var lastHeard: Date
    }

    private struct Budget {
        var tokens: Double
        var updatedAt: Date
    }

    static let similarLimit = 10
    static let similarSeconds = 600.0
    static let burst = 25.0
    static let refillSeconds = 300.0

    private let repeatInterval: Duration
    private var known: RecentlyUsed<String, Known>
    private var similar: RecentlyUsed<String, Similar>
    private var budgets: RecentlyUsed<String, Budget>

    init(repeatInterval: Duration, capacity: Int = 2048) {
        self.repeatInterval = repeatInterval
        known = RecentlyUsed(capacity: capacity)
        similar = RecentlyUsed(capacity: capacity)
        budgets = RecentlyUsed(capacity: capacity)
    }

    /// How many events, groups and objects are remembered.
    var count: Int { known.count + similar.count + budgets.count }

    /// Counts the entry and says what becomes of it.
    mutating func admit(_ entry: EventRecorder.Entry) -> Admission {
        let entry = combined(entry)
        let id = entry.identity
        if var seen = known[id] {
            seen.count += 1
            guard entry.date.timeIntervalSince(seen.writtenAt) >= repeatInterval.inSeconds, spend(entry) else {
                known.set(seen, for: id, at: entry.date)
                return .counted
            }
            seen.writtenAt = entry.date
            known.set(seen, for: id, at: entry.date)
            return .write(entry)
        }
        guard spend(entry) else { return .dropped }
        known.set(Known(name: nil, count: 1, writtenAt: entry.date), for: id, at: entry.date)
        return .write(entry)
    }

    /// The event that the entry repeats, and how often it has happened; nil for a new one.
    func repetition(of entry: EventRecorder.Entry) -> (name: String, count: Int)? {
        guard let seen = known[entry.identity], let name = seen.name else { return nil }
        return (name, seen.count)
    }

    /// How often the entry has happened until now.
    func count(of entry: EventRecorder.Entry) -> Int { known[entry.identity]?.count ?? 1 }

    mutating func written(_ entry: EventRecorder.Entry, name: String) {
        guard var seen = known[entry.identity] else { return }
        seen.name = name
        known.set(seen, for: entry.identity, at: entry.date)
    }

    /// It was not written: the next time counts as new.
    mutating func forget(_ entry: EventRecorder.Entry) { known.remove(entry.identity) }

    /// The entry, or what stands for all of its group once there are too many different ones.
    private mutating func combined(_ entry: EventRecorder.Entry) -> EventRecorder.Entry {
        var group = similar[entry.group] ?? Similar(lastHeard: entry.date)
        if entry.date.timeIntervalSince(group.lastHeard) > Self.similarSeconds { group.messages = [] }
        group.lastHeard = entry.date
        defer { similar.set(group, for: entry.group, at: entry.date) }
        if group.messages.contains(entry.message) { return entry }
        guard group.messages.count >= Self.similarLimit else {
            group.messages.insert(entry.message)
            return entry
        }
        var combined = entry
        combined.isCombined = true
        return combined
    }

    /// Takes a write from the object's budget.
    private mutating func spend(_ entry: EventRecorder.Entry) -> Bool {
        var budget = budgets[entry.subject] ?? Budget(tokens: Self.burst, updatedAt: entry.date)
        let refill = max(0, entry.date.timeIntervalSince(budget.updatedAt)) / Self.refillSeconds
        budget.tokens = min(Self.burst, budget.tokens + refill)
        budget.updatedAt = entry.date
        let isEnough = budget.tokens >= 1
        if isEnough { budget.tokens -= 1 }
        budgets.set(budget, for: entry.subject, at: entry.date)
        return isEnough
    }
}

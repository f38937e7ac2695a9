import FoundationEssentials

/// A dictionary of at most `capacity` values: when it is full, the quarter that was touched longest ago goes.
struct RecentlyUsed<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let capacity: Int
    private var entries: [Key: (value: Value, touched: Date)] = [:]

    init(capacity: Int) { self.capacity = max(4, capacity) }

    var count: Int { entries.count }
    subscript(key: Key) -> Value? { entries[key]?.value }

    mutating func set(_ value: Value, for key: Key, at now: Date) {
        if entries[key] == nil, entries.count >= capacity {
            let oldest = entries.sorted { $0.value.touched < $1.value.touched }.prefix(capacity / 4)
            for (key, _) in oldest { entries[key] = nil }
        }
        entries[key] = (value, now)
    }

    mutating func remove(_ key: Key) { entries[key] = nil }
}

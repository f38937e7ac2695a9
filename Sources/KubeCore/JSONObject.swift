/// The members of a JSON object: names to values.
///
/// An array sorted by name (UTF-8 order), so equal objects are equal arrays, and canonical text needs no sorting. Objects of
/// the API are small: a member is found by looking at the names in a row, in large objects by halving. Inserting is linear;
/// to make a large object, make it at once from its members.
package struct JSONObject: Sendable, Hashable {
    package struct Member: Sendable, Hashable {
        package let key: String
        package var value: JSONValue

        package init(key: String, value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// Sorted by name; no name twice.
    private var members: [Member]

    package init() { members = [] }

    /// - Parameter sorted: members in ascending order of their names, no name twice.
    init(sorted members: [Member]) { self.members = members }

    package init(_ dictionary: [String: JSONValue]) {
        self.init(dictionary.map { (key: $0.key, value: $0.value) }, uniquingKeysWith: { $1 })
    }

    package init(
        _ pairs: some Sequence<(key: String, value: JSONValue)>,
        uniquingKeysWith combine: (JSONValue, JSONValue) -> JSONValue
    ) {
        // Stable, so that of equal names the earlier comes first.
        let sorted = pairs.map { Member(key: $0.key, value: $0.value) }.sorted { Self.precedes($0.key, $1.key) }
        members = []
        members.reserveCapacity(sorted.count)
        for member in sorted {
            if let last = members.last, !Self.precedes(last.key, member.key) {
                members[members.count - 1].value = combine(last.value, member.value)
            } else {
                members.append(member)
            }
        }
    }

    package init(uniqueKeysWithValues pairs: some Sequence<(key: String, value: JSONValue)>) {
        self.init(pairs, uniquingKeysWith: { $1 })
    }

    // MARK: Order

    /// Whether a name comes before another: by their UTF-8. Swift's own order would take canonically equivalent names for
    /// one, which the API server tells apart.
    static func precedes(_ a: String, _ b: String) -> Bool { order(a, b) < 0 }

    /// Negative, zero or positive, as `a` comes before `b`, is the same, or comes after.
    static func order(_ a: String, _ b: String) -> Int {
        let fast = a.utf8.withContiguousStorageIfAvailable { a in
            b.utf8.withContiguousStorageIfAvailable { b in order(UnsafeRawBufferPointer(a), UnsafeRawBufferPointer(b)) }
        }
        if let known = fast ?? nil { return known }
        return a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : a.utf8.elementsEqual(b.utf8) ? 0 : 1
    }

    private static func order(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        let common = Swift.min(a.count, b.count)
        var offset = 0
        while offset + 8 <= common {
            let (x, y) = (
                a.loadUnaligned(fromByteOffset: offset, as: UInt64.self),
                b.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            )
            if x != y { return UInt64(bigEndian: x) < UInt64(bigEndian: y) ? -1 : 1 }
            offset += 8
        }
        while offset < common {
            if a[offset] != b[offset] { return a[offset] < b[offset] ? -1 : 1 }
            offset += 1
        }
        return a.count - b.count
    }

    /// The place of a name, or where it would be inserted.
    private func place(of key: String) -> (index: Int, isFound: Bool) {
        var low = 0
        var high = members.count
        while high - low > 8 {
            let middle = (low + high) / 2
            let order = Self.order(members[middle].key, key)
            if order == 0 { return (middle, true) }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        while low < high {
            let order = Self.order(members[low].key, key)
            if order >= 0 { return (low, order == 0) }
            low += 1
        }
        return (low, false)
    }
}

// As the standard library's dictionary, as far as it is used.
extension JSONObject {
    /// Setting nil removes the member.
    package subscript(key: String) -> JSONValue? {
        get {
            let (index, isFound) = place(of: key)
            return isFound ? members[index].value : nil
        }
        set {
            let (index, isFound) = place(of: key)
            switch (newValue, isFound) {
            case (let value?, true): members[index].value = value
            case (let value?, false): members.insert(Member(key: key, value: value), at: index)
            case (nil, true): members.remove(at: index)
            case (nil, false): break
            }
        }
    }

    package subscript(key: String, default fallback: @autoclosure () -> JSONValue) -> JSONValue {
        get { self[key] ?? fallback() }
        _modify {
            let (index, isFound) = place(of: key)
            if !isFound { members.insert(Member(key: key, value: fallback()), at: index) }
            yield &members[index].value
        }
    }

    package var keys: Keys { Keys(members: members) }
    package var values: Values { Values(members: members) }

    @discardableResult
    package mutating func updateValue(_ value: JSONValue, forKey key: String) -> JSONValue? {
        let old = self[key]
        self[key] = value
        return old
    }

    @discardableResult
    package mutating func removeValue(forKey key: String) -> JSONValue? {
        let (index, isFound) = place(of: key)
        return isFound ? members.remove(at: index).value : nil
    }

    package mutating func merge(
        _ other: JSONObject, uniquingKeysWith combine: (JSONValue, JSONValue) -> JSONValue
    ) {
        for (key, value) in other { self[key] = self[key].map { combine($0, value) } ?? value }
    }

    package func merging(_ other: JSONObject, uniquingKeysWith combine: (JSONValue, JSONValue) -> JSONValue)
        -> JSONObject
    {
        var merged = self
        merged.merge(other, uniquingKeysWith: combine)
        return merged
    }

    package func filter(_ isIncluded: (Element) throws -> Bool) rethrows -> JSONObject {
        JSONObject(sorted: try members.filter { try isIncluded((key: $0.key, value: $0.value)) })
    }

    package func mapValues(_ transform: (JSONValue) throws -> JSONValue) rethrows -> JSONObject {
        JSONObject(sorted: try members.map { Member(key: $0.key, value: try transform($0.value)) })
    }

    package func compactMapValues<T>(_ transform: (JSONValue) throws -> T?) rethrows -> [String: T] {
        var result: [String: T] = [:]
        result.reserveCapacity(count)
        for member in members { result[member.key] = try transform(member.value) }
        return result
    }

    package struct Keys: RandomAccessCollection, Sendable {
        fileprivate var members: [Member]
        package var startIndex: Int { 0 }
        package var endIndex: Int { members.count }
        package subscript(index: Int) -> String { members[index].key }
    }

    package struct Values: RandomAccessCollection, Sendable {
        fileprivate var members: [Member]
        package var startIndex: Int { 0 }
        package var endIndex: Int { members.count }
        package subscript(index: Int) -> JSONValue { members[index].value }
    }
}

/// In the order of the names.
extension JSONObject: RandomAccessCollection {
    package typealias Element = (key: String, value: JSONValue)
    package var startIndex: Int { 0 }
    package var endIndex: Int { members.count }
    package subscript(index: Int) -> Element { (key: members[index].key, value: members[index].value) }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements.map { (key: $0.0, value: $0.1) }, uniquingKeysWith: { $1 })
    }
}

extension JSONObject: CustomStringConvertible {
    package var description: String { JSONValue.object(self).serialized() }
}

extension JSONValue {
    /// An object of a dictionary's members.
    package static func object(_ members: [String: JSONValue]) -> JSONValue { .object(JSONObject(members)) }
}

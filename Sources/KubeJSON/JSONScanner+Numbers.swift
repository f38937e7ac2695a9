/// A number that was scanned.
@frozen
package enum JSONNumber: Sendable, Equatable {
    /// A whole number, written as one, that fits 64 bits.
    case int(Int)
    /// Any other, finite.
    case double(Double)
}

extension JSONScanner {
    /// Passes over a number whose first byte is next.
    /// - Throws: `numberOutOfRange` for one that no `Double` is near to, such as `1e400`.
    @inlinable
    package mutating func number() throws(JSONFailure) -> JSONNumber {
        let start = position
        var isNegative = false
        if position < bytes.count, bytes[position] == UInt8(ascii: "-") {
            isNegative = true
            position &+= 1
        }
        let digits = position
        var magnitude: UInt64 = 0
        var fits = true
        while position < bytes.count {
            let digit = bytes[position] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            let (product, tooLarge) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, carries) = product.addingReportingOverflow(UInt64(digit))
            if tooLarge || carries { fits = false }
            magnitude = sum
            position &+= 1
        }
        guard position > digits else {
            if position == bytes.count { throw failure(.truncated) }
            throw JSONFailure(position == start ? .expectedValue : .malformedNumber, at: start)
        }
        if bytes[digits] == UInt8(ascii: "0"), position > digits &+ 1 { throw JSONFailure(.leadingZero, at: start) }
        guard position < bytes.count else {
            guard isWhole else { throw failure(.truncated) }
            return try whole(magnitude, isNegative, fits, from: start)
        }
        let next = bytes[position]
        if next == UInt8(ascii: ".") || next | 0x20 == UInt8(ascii: "e") { return try fraction(from: start) }
        return try whole(magnitude, isNegative, fits, from: start)
    }

    @inlinable
    func whole(_ magnitude: UInt64, _ isNegative: Bool, _ fits: Bool, from start: Int) throws(JSONFailure) -> JSONNumber
    {
        if fits {
            if !isNegative, magnitude <= UInt64(Int.max) { return .int(Int(truncatingIfNeeded: magnitude)) }
            if isNegative, magnitude <= UInt64(Int.max) &+ 1 {
                return .int(0 &- Int(truncatingIfNeeded: magnitude))
            }
        }
        return .double(try double(start..<position))
    }

    /// The part behind a number's whole digits.
    @usableFromInline
    mutating func fraction(from start: Int) throws(JSONFailure) -> JSONNumber {
        if bytes[position] == UInt8(ascii: ".") {
            position += 1
            try digits(of: start)
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") {
                position += 1
            }
            try digits(of: start)
        }
        if position == bytes.count, !isWhole { throw failure(.truncated) }
        return .double(try double(start..<position))
    }

    private mutating func digits(of start: Int) throws(JSONFailure) {
        let first = position
        while position < bytes.count, bytes[position] &- UInt8(ascii: "0") <= 9 { position += 1 }
        guard position > first else {
            if position == bytes.count { throw failure(.truncated) }
            throw JSONFailure(.malformedNumber, at: start)
        }
    }

    @usableFromInline
    func double(_ range: Range<Int>) throws(JSONFailure) -> Double {
        let text = bytes.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
        guard let value = Double(text), value.isFinite else {
            throw JSONFailure(.numberOutOfRange, at: range.lowerBound)
        }
        return value
    }

    /// The next value as a whole number.
    @inlinable
    package mutating func int() throws(JSONFailure) -> Int {
        let byte = try peek()
        let start = position
        guard byte == UInt8(ascii: "-") || byte &- UInt8(ascii: "0") <= 9, case .int(let value) = try number() else {
            throw JSONFailure(.expectedInteger, at: start)
        }
        return value
    }
}

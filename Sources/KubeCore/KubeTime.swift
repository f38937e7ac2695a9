package import FoundationEssentials

/// Kubernetes' time formats: `metav1.Time` (seconds, UTC, RFC 3339) and `metav1.MicroTime`.
package enum KubeTime {
    package static func parse(_ text: String) -> Date? {
        (try? Date(text, strategy: Date.ISO8601FormatStyle())) ?? (try? Date(text, strategy: micro))
    }

    /// `2026-01-31T12:00:00Z`
    package static func format(_ date: Date) -> String { date.formatted(Date.ISO8601FormatStyle()) }

    /// `2026-01-31T12:00:00.000000Z`, for Leases and Events.
    package static func formatMicro(_ date: Date) -> String {
        let text = date.formatted(micro)
        // The format style writes milliseconds; Kubernetes asks for six digits.
        guard let dot = text.lastIndex(of: "."), text.hasSuffix("Z") else { return text }
        let digits = text[text.index(after: dot)...].dropLast()
        return text[...dot] + digits + String(repeating: "0", count: max(0, 6 - digits.count)) + "Z"
    }

    private static let micro = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
}

/// A duration as Go writes it in Kubernetes' fields: `300ms`, `1m30s`, `168h`.
package struct GoDuration: Sendable, Hashable, Codable, Comparable, CustomStringConvertible, ExpressibleByStringLiteral
{
    package var seconds: Double

    package init(seconds: Double) { self.seconds = seconds }

    package init(stringLiteral text: String) { self.init(seconds: Self.parse(text) ?? 0) }

    /// Nil when the text is not a Go duration.
    package init?(_ text: String) {
        guard let seconds = Self.parse(text) else { return nil }
        self.seconds = seconds
    }

    package var duration: Duration { .seconds(seconds) }
    package static func < (a: Self, b: Self) -> Bool { a.seconds < b.seconds }

    package var description: String {
        if seconds < 0 { return "-" + GoDuration(seconds: -seconds).description }
        if seconds == 0 { return "0s" }
        if seconds < 1 { return Self.trim(seconds * 1000) + "ms" }
        var rest = seconds
        var text = ""
        for (unit, size) in [("h", 3600.0), ("m", 60.0)] where rest >= size {
            let count = (rest / size).rounded(.down)
            text += "\(Int(count))\(unit)"
            rest -= count * size
        }
        if rest > 0 { text += Self.trim(rest) + "s" }
        return text
    }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let seconds = Self.parse(text) else {
            throw FieldError(
                path: FieldError.path(decoder.codingPath),
                message: "'\(text)' is not a duration; write e.g. 500ms, 30s, 5m or 168h")
        }
        self.seconds = seconds
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    private static func trim(_ value: Double) -> String {
        let rounded = (value * 1e6).rounded() / 1e6
        return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
    }

    /// As Go's `time.ParseDuration`: a sign, then numbers with units, nothing else.
    private static func parse(_ text: String) -> Double? {
        var rest = Substring(text)
        let isNegative = rest.first == "-"
        if rest.first == "-" || rest.first == "+" { rest = rest.dropFirst() }
        if rest == "0" { return 0 }
        let units: [Substring: Double] = [
            "ns": 1e-9, "us": 1e-6, "\u{B5}s": 1e-6, "\u{3BC}s": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600,
        ]
        guard !rest.isEmpty else { return nil }
        var total = 0.0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !($0.isASCII && $0.isNumber) && $0 != "." }
            rest = rest.dropFirst(unit.count)
            guard number.contains(where: \.isNumber), let value = Double(number), let size = units[unit] else {
                return nil
            }
            total += value * size
        }
        return isNegative ? -total : total
    }
}

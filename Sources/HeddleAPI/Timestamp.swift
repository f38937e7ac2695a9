package import FoundationEssentials
package import KubeCore

/// A moment in a status, to the millisecond; RFC 3339 in UTC on the wire.
///
/// Held as whole milliseconds, so that a value that went through the API server equals the one that was written.
package struct Timestamp: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// Since 1970-01-01T00:00:00Z.
    package var milliseconds: Int

    package init(_ date: Date) { milliseconds = Int((date.timeIntervalSince1970 * 1000).rounded()) }

    /// Nil when the text is not RFC 3339.
    package init?(_ text: String) {
        guard let date = KubeTime.parse(text) else { return nil }
        self.init(date)
    }

    package var date: Date { Date(timeIntervalSince1970: Double(milliseconds) / 1000) }
    package static func < (a: Self, b: Self) -> Bool { a.milliseconds < b.milliseconds }

    /// Seconds from `earlier` to `self`.
    package func seconds(since earlier: Timestamp) -> Double { Double(milliseconds - earlier.milliseconds) / 1000 }

    package func adding(_ duration: GoDuration) -> Timestamp {
        var later = self
        later.milliseconds += Int((duration.seconds * 1000).rounded())
        return later
    }

    package var description: String {
        let rest = milliseconds % 1000
        if rest == 0 { return KubeTime.format(date) }
        // From whole numbers: formatting the date cuts its fraction, which may lose a millisecond.
        let seconds = KubeTime.format(Date(timeIntervalSince1970: Double(milliseconds / 1000)))
        return seconds.dropLast() + "." + String(1000 + rest).dropFirst() + "Z"
    }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let timestamp = Timestamp(text) else {
            throw FieldError(
                path: FieldError.path(decoder.codingPath),
                message: "'\(text)' is not a time; write e.g. 2026-01-31T12:00:00Z")
        }
        self = timestamp
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

import FoundationEssentials

/// Numbers as sentences show them.
package enum NumberText {
    /// `4.5 %` for 0.045: three significant digits.
    package static func percent(_ ratio: Double) -> String { significant(ratio * 100) + " %" }

    /// Three significant digits, without trailing zeros.
    package static func significant(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf" }
        guard value != 0 else { return "0" }
        var scale = 1.0
        var size = abs(value)
        while size < 100, scale < 1e9 {
            size *= 10
            scale *= 10
        }
        let rounded = (value * scale).rounded() / scale
        if rounded == rounded.rounded(), abs(rounded) < 1e15 { return String(Int(rounded)) }
        return "\(rounded)"
    }

    /// `1 request`, `12 requests`.
    package static func count(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    /// Whole seconds as `45 s`, `3 min`, `2 h`.
    package static func seconds(_ seconds: Double) -> String {
        let whole = Int(max(0, seconds).rounded(.up))
        if whole < 120 { return "\(whole) s" }
        if whole < 7200 { return "\(whole / 60) min" }
        return "\(whole / 3600) h"
    }
}

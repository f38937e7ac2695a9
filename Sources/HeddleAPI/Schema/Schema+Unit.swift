extension Schema {
    /// What a value counts or measures. Every number, duration, quantity and time of a schema has one; the raw value ends
    /// its published description.
    package enum Unit: String, Sendable, CaseIterable {
        case percent = "percent"
        case ratio = "ratio, from 0 to 1"
        case probability = "probability, from 0 to 1"
        case oddsRatio = "odds ratio, 1 for equal odds"
        case nats = "natural logarithm"
        case weight = "parts of the sum of all weights"
        case metric = "that of the metric"
        case triesPerRequest = "tries per request"
        case milliseconds = "milliseconds"
        case duration = "duration, such as 500ms, 30s, 5m or 168h"
        case instant = "RFC 3339 time, such as 2026-01-31T12:00:00Z"
        case day = "day in UTC, such as 2026-12-31"
        case bytes = "bytes, such as 150Mi"
        case cores = "CPU cores, such as 100m or 0.5"
        case port = "TCP port number"
        case index = "position, from 0"
        case generation = "metadata.generation"
        case requests, connections, tries, times, pods, workloads, sidecars, threads, traces, intervals, endpoints
    }

    /// The description with the unit, as it is published.
    package var publishedDescription: String {
        guard let unit else { return description }
        return "\(description) Unit: \(unit.rawValue)."
    }
}

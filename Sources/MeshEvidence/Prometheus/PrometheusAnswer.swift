/// What Prometheus' HTTP API answered to a query.
package struct PrometheusAnswer: Sendable, Hashable {
    package struct Sample: Sendable, Hashable {
        package var labels: [String: String]
        /// Seconds since 1970.
        package var time: Double
        /// NaN and infinities as they came.
        package var value: Double

        package init(labels: [String: String], time: Double, value: Double) {
            self.labels = labels
            self.time = time
            self.value = value
        }
    }

    package struct Series: Sendable, Hashable {
        package struct Point: Sendable, Hashable {
            package var time: Double
            package var value: Double

            package init(time: Double, value: Double) {
                self.time = time
                self.value = value
            }
        }

        package var labels: [String: String]
        package var points: [Point]

        package init(labels: [String: String], points: [Point]) {
            self.labels = labels
            self.points = points
        }
    }

    package enum Data: Sendable, Hashable {
        case scalar(Double)
        case string(String)
        case vector([Sample])
        case matrix([Series])
    }

    package var data: Data
    /// Prometheus' own remarks, such as a partial answer.
    package var warnings: [String]

    package init(data: Data, warnings: [String] = []) {
        self.data = data
        self.warnings = warnings
    }

    /// The series of a vector; nil for other types.
    package var samples: [Sample]? {
        if case .vector(let samples) = data { samples } else { nil }
    }

    /// The answer as the one number that a metric needs.
    package var result: QueryResult {
        switch data {
        case .scalar(let value): QueryResult(value)
        case .string: .wrongType("a string")
        case .vector(let samples):
            switch samples.count {
            case 0: .empty
            case 1: QueryResult(samples[0].value)
            default: .severalSeries(samples.count)
            }
        case .matrix(let series): series.isEmpty ? .empty : .wrongType("a range vector")
        }
    }
}

/// The answer to a query that should give one number. What is not one is told apart, never guessed.
package enum QueryResult: Sendable, Hashable {
    case value(Double)
    case empty
    case notANumber
    case infinite
    case severalSeries(Int)
    case wrongType(String)
    case failed(QueryError)

    package init(_ value: Double) {
        self = value.isNaN ? .notANumber : value.isInfinite ? .infinite : .value(value)
    }

    package var value: Double? {
        if case .value(let value) = self { value } else { nil }
    }

    /// Nil for a value.
    package var problem: MetricProblem? {
        switch self {
        case .value: nil
        case .empty: MetricProblem(.empty, "the answer is empty: no series match the query")
        case .notANumber: MetricProblem(.notANumber, "the answer is NaN, as when nothing is divided by nothing")
        case .infinite: MetricProblem(.infinite, "the answer is infinite, as when something is divided by nothing")
        case .severalSeries(let count):
            MetricProblem(.severalSeries, "the answer has \(count) series; aggregate it to one, e.g. with sum()")
        case .wrongType(let type): MetricProblem(.unusable, "the answer is \(type), not a number")
        case .failed(let error): MetricProblem(.sourceError, error.description)
        }
    }
}

/// Why a metric has no value just now.
package struct MetricProblem: Error, Sendable, Hashable {
    package var kind: Insufficiency
    /// A sentence.
    package var message: String

    package init(_ kind: Insufficiency, _ message: String) {
        self.kind = kind
        self.message = message
    }
}

/// A query that was not answered.
package struct QueryError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable, Hashable {
        /// No connection, or no answer in time.
        case unreachable = "Unreachable"
        /// Prometheus refused the query: it is wrong, and stays wrong.
        case badQuery = "BadQuery"
        /// Prometheus tried and failed; a later try may succeed.
        case failed = "Failed"
        /// The answer is not what Prometheus' API gives.
        case malformed = "Malformed"
    }

    package var kind: Kind
    package var message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    package var description: String {
        switch kind {
        case .unreachable: "Prometheus does not answer: \(message)"
        case .badQuery: "Prometheus refuses the query: \(message)"
        case .failed: "Prometheus could not answer: \(message)"
        case .malformed: "the answer is not Prometheus': \(message)"
        }
    }
}

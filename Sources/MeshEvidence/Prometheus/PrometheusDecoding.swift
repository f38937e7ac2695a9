package import KubeCore

extension PrometheusAnswer {
    /// Reads the body of an answer of `/api/v1/query` or `/api/v1/query_range`.
    /// - Throws: `QueryError`; `badQuery` for errors that a repetition does not cure.
    package static func decode(_ body: some Sequence<UInt8>, httpStatus: Int) throws(QueryError) -> PrometheusAnswer {
        let json: JSONValue
        do throws(JSONSyntaxError) {
            json = try JSONValue.parse(body)
        } catch {
            guard (200..<300).contains(httpStatus) else {
                throw QueryError(.failed, "HTTP status \(httpStatus)")
            }
            throw QueryError(.malformed, error.description)
        }
        return try decode(json, httpStatus: httpStatus)
    }

    package static func decode(_ json: JSONValue, httpStatus: Int = 200) throws(QueryError) -> PrometheusAnswer {
        guard json["status"]?.string == "success" else {
            let type = json["errorType"]?.string
            let message = json["error"]?.string ?? "HTTP status \(httpStatus)"
            // `bad_data` is the query's own fault; `execution` is how many-to-many matches and the like are reported.
            let isFinal = type == "bad_data" || type == "execution"
            throw QueryError(isFinal ? .badQuery : .failed, message)
        }
        let result = json["data"]?["result"] ?? .null
        let warnings = (json["warnings"]?.array ?? []).compactMap(\.string)
        let data: Data
        switch json["data"]?["resultType"]?.string {
        case "scalar": data = .scalar(try point(result).value)
        case "string":
            guard let text = result[1]?.string else { throw QueryError(.malformed, "a string without its text") }
            data = .string(text)
        case "vector":
            var samples: [Sample] = []
            for item in result.array ?? [] {
                // Native histograms have `histogram` in place of `value`; Heddle asks for none.
                guard let value = item["value"] else { throw QueryError(.malformed, "a series without a value") }
                let point = try point(value)
                samples.append(Sample(labels: item["metric"]?.stringMap ?? [:], time: point.time, value: point.value))
            }
            data = .vector(samples)
        case "matrix":
            var series: [Series] = []
            for item in result.array ?? [] {
                var points: [Series.Point] = []
                for value in item["values"]?.array ?? [] { points.append(try point(value)) }
                series.append(Series(labels: item["metric"]?.stringMap ?? [:], points: points))
            }
            data = .matrix(series)
        case let type: throw QueryError(.malformed, "the result type is \(type ?? "missing")")
        }
        return PrometheusAnswer(data: data, warnings: warnings)
    }

    /// `[seconds, "value"]`
    private static func point(_ json: JSONValue) throws(QueryError) -> Series.Point {
        guard let time = json[0]?.double, let text = json[1]?.string, let value = number(text) else {
            throw QueryError(.malformed, "a sample that is not [time, \"value\"]: \(json.serialized())")
        }
        return Series.Point(time: time, value: value)
    }

    private static func number(_ text: String) -> Double? {
        switch text {
        case "NaN": .nan
        case "+Inf", "Inf": .infinity
        case "-Inf": -.infinity
        default: Double(text)
        }
    }
}

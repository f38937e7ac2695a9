import FoundationEssentials
import Testing

@testable import MeshEvidence

struct PrometheusTests {
    private func decode(_ text: String, status: Int = 200) throws(QueryError) -> PrometheusAnswer {
        try PrometheusAnswer.decode(text.utf8, httpStatus: status)
    }

    private func vector(_ values: String...) -> String {
        let series = values.enumerated().map { #"{"metric":{"pod":"p\#($0)"},"value":[1700000000.5,"\#($1)"]}"# }
        return #"{"status":"success","data":{"resultType":"vector","result":[\#(series.joined(separator: ","))]}}"#
    }

    @Test func `a value, NaN, infinity, nothing and several series are told apart`() throws {
        #expect(try decode(vector("1.5")).result == .value(1.5))
        #expect(try decode(vector("NaN")).result == .notANumber)
        #expect(try decode(vector("+Inf")).result == .infinite)
        #expect(try decode(vector("-Inf")).result == .infinite)
        #expect(try decode(vector()).result == .empty)
        #expect(try decode(vector("1", "2")).result == .severalSeries(2))
        #expect(
            try decode(#"{"status":"success","data":{"resultType":"scalar","result":[1,"2e3"]}}"#).result
                == .value(2000))
        #expect(
            try decode(#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#).result
                == .wrongType("a string"))
        #expect(try decode(#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#).result == .empty)
    }

    @Test func `each problem has its kind and a sentence`() throws {
        #expect(QueryResult.value(1).problem == nil)
        #expect(QueryResult.empty.problem?.kind == .empty)
        #expect(QueryResult.notANumber.problem?.kind == .notANumber)
        #expect(QueryResult.infinite.problem?.kind == .infinite)
        #expect(QueryResult.severalSeries(3).problem?.message.contains("3 series") == true)
        #expect(QueryResult.failed(QueryError(.unreachable, "refused")).problem?.kind == .sourceError)
    }

    @Test func `samples keep their labels and times, and warnings are kept`() throws {
        let text =
            #"{"status":"success","warnings":["partial"],"data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"2"],[3,"NaN"]]}]}}"#
        let answer = try decode(text)
        #expect(answer.warnings == ["partial"])
        guard case .matrix(let series) = answer.data else {
            Issue.record("not a matrix")
            return
        }
        #expect(series[0].labels == ["a": "b"] && series[0].points[0].value == 2 && series[0].points[1].value.isNaN)
        #expect(try decode(vector("7")).samples == [.init(labels: ["pod": "p0"], time: 1_700_000_000.5, value: 7)])
    }

    @Test func `errors are told apart by what cures them`() throws {
        let bad = #"{"status":"error","errorType":"bad_data","error":"parse error"}"#
        #expect(throws: QueryError(.badQuery, "parse error")) { try decode(bad, status: 400) }
        let timeout = #"{"status":"error","errorType":"timeout","error":"too slow"}"#
        #expect(throws: QueryError(.failed, "too slow")) { try decode(timeout, status: 503) }
        #expect(throws: QueryError(.failed, "HTTP status 502")) { try decode("<html>", status: 502) }
        #expect(throws: QueryError.self) { try decode("{", status: 200) }
        #expect(throws: QueryError.self) { try decode(vector("abc")) }
        #expect(throws: QueryError.self) { try decode(#"{"status":"success","data":{"resultType":"x"}}"#) }
    }

    @Test func `requests are percent-encoded`() {
        let request = PrometheusRequest.instant("sum(a{b=~\"x|y\"}) / 2", at: Date(timeIntervalSince1970: 1.5))
        #expect(
            request.url(base: "http://p:9090/prom/")
                == "http://p:9090/prom/api/v1/query?query=sum%28a%7Bb%3D~%22x%7Cy%22%7D%29%20%2F%202&time=1.5")
        let range = PrometheusRequest.range(
            "up", from: Date(timeIntervalSince1970: 10), to: Date(timeIntervalSince1970: 20), stepSeconds: 5)
        #expect(range.url(base: "http://p") == "http://p/api/v1/query_range?query=up&start=10&end=20&step=5")
    }
}

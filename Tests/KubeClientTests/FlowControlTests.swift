import KubeCore
import Synchronization
import Testing

@testable import KubeClient

struct TokenBucketTests {
    @Test func `a burst goes at once, then requests come at the rate`() {
        var bucket = TokenBucket(perSecond: 10, burst: 3, now: .zero)
        let waits = (0..<6).map { _ in bucket.take(now: .zero) }
        #expect(waits == [.zero, .zero, .zero, .milliseconds(100), .milliseconds(200), .milliseconds(300)])
    }

    @Test func `a rest fills the bucket, but not beyond the burst`() {
        var bucket = TokenBucket(perSecond: 10, burst: 2, now: .zero)
        for _ in 0..<2 { _ = bucket.take(now: .zero) }
        let afterRest = (0..<3).map { _ in bucket.take(now: .seconds(3600)) }
        #expect(afterRest == [.zero, .zero, .milliseconds(100)])
        // A clock that went back gives nothing.
        #expect(bucket.take(now: .seconds(1)) == .milliseconds(200))
    }

    @Test func `over a long time no more than the rate passes`() {
        var bucket = TokenBucket(perSecond: 50, burst: 10, now: .zero)
        var now = Duration.zero
        var sent = 0
        while now < .seconds(100) {
            now += bucket.take(now: now)
            sent += 1
        }
        #expect((5000...5012).contains(sent))
    }
}

struct FlowControlTests {
    func call(_ resource: GroupVersionResource) throws -> HTTPCall {
        try HTTPCall(APIRequest(.get, resource, name: "a"))
    }

    @Test func `a lease never waits, and others pay for it`() async throws {
        let slept = Mutex<[Duration]>([])
        let flow = FlowControl(
            perSecond: 10, burst: 1, now: { .zero }, sleep: { wait in slept.withLock { $0.append(wait) } })
        let pods = try call(.pods)
        #expect(try await flow.admit(pods, waitingAtMost: .seconds(9)) == .zero)
        for _ in 0..<5 { #expect(try await flow.admit(try call(.leases), waitingAtMost: .seconds(9)) == .zero) }
        #expect(try await flow.admit(pods, waitingAtMost: .seconds(9)) == .milliseconds(600))
        #expect(slept.withLock { $0 } == [.milliseconds(600)])
    }

    @Test func `a wait beyond the deadline is an error at once and takes nothing from the others`() async throws {
        let flow = FlowControl(perSecond: 1, burst: 1, now: { .zero }, sleep: { _ in })
        let pods = try call(.pods)
        _ = try await flow.admit(pods, waitingAtMost: .seconds(1))
        for _ in 0..<10 {
            let error = try await failure { _ = try await flow.admit(pods, waitingAtMost: .milliseconds(500)) }
            #expect(error.reason == "Throttled" && error.code == 0)
        }
        #expect(try await flow.admit(pods, waitingAtMost: .seconds(9)) == .seconds(1))
    }

    @Test func `without a rate everything passes`() async throws {
        let flow = FlowControl(perSecond: nil, burst: 0)
        for _ in 0..<10_000 { #expect(try await flow.admit(try call(.pods), waitingAtMost: .zero) == .zero) }
    }
}

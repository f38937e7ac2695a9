import KubeTesting
import Testing

@testable import KubeRuntime

struct WorkQueueTests {
    let clock = ManualClock()
    var queue: WorkQueue<String> {
        WorkQueue(
            clock: AnyClock(clock), backoff: Backoff(first: .seconds(1), maximum: .seconds(10), jitter: 0),
            random: { 0 })
    }

    @Test func `a key that waits is added once`() async {
        let queue = queue
        queue.add("a")
        queue.add("b")
        queue.add("a")
        #expect(await queue.next() == "a")
        #expect(await queue.next() == "b")
        #expect(queue.readyCount == 0)
    }

    @Test func `a key in work comes back after it is done and not before`() async {
        let queue = queue
        queue.add("a")
        #expect(await queue.next() == "a")
        queue.add("a")
        queue.add("a")
        #expect(queue.readyCount == 0)
        queue.done("a")
        #expect(await queue.next() == "a")
        queue.done("a")
        #expect(queue.readyCount == 0)
    }

    @Test func `of several times the earliest counts`() async throws {
        let queue = queue
        try await alongside {
            await queue.run()
        } during: {
            queue.add("a", after: .seconds(30))
            queue.add("a", after: .seconds(10))
            queue.add("a", after: .seconds(20))
            #expect(await eventually { clock.nextDeadline == .seconds(10) })
            clock.advance(by: .seconds(9))
            #expect(queue.readyCount == 0)
            clock.advance(by: .seconds(1))
            #expect(await queue.next() == "a")
            #expect(queue.delayedCount == 0)
        }
    }

    @Test func `adding now beats waiting`() async {
        let queue = queue
        queue.add("a", after: .seconds(30))
        queue.add("a")
        #expect(await queue.next() == "a")
        #expect(queue.delayedCount == 0)
    }

    @Test func `delays double with failures up to the maximum and start anew after success`() {
        let queue = queue
        #expect((0..<6).map { _ in queue.retry("a") } == [1, 2, 4, 8, 10, 10].map { .seconds($0) })
        #expect(queue.retry("b") == .seconds(1))
        queue.forget("a")
        #expect(queue.retry("a") == .seconds(1))
    }

    @Test func `jitter spreads delays within its share`() {
        let backoff = Backoff(first: .seconds(1), maximum: .seconds(60), jitter: 0.5)
        #expect(backoff.delay(attempt: 2, random: 0) == .seconds(4))
        #expect(backoff.delay(attempt: 2, random: 1) == .seconds(6))
        #expect(backoff.delay(attempt: 1000, random: 0) == .seconds(60))
    }

    @Test func `shutting down ends waiting workers`() async {
        let queue = queue
        async let waiting = queue.next()
        queue.shutDown()
        #expect(await waiting == nil)
        queue.add("a")
        #expect(await queue.next() == nil)
        await queue.run()
    }

    @Test func `a cancelled worker gets no key and takes none`() async {
        let queue = queue
        let worker = Task { await queue.next() }
        worker.cancel()
        #expect(await worker.value == nil)
        queue.add("a")
        #expect(await queue.next() == "a")
    }

    @Test func `many workers never share a key`() async {
        let queue = WorkQueue<Int>()
        let inWork = Recorded<Int>()
        let overlaps = Recorded<Int>()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    while let key = await queue.next() {
                        let before = inWork.all.filter { $0 == key }.count
                        inWork.append(key)
                        await Task.yield()
                        if inWork.all.filter({ $0 == key }).count != before + 1 { overlaps.append(key) }
                        queue.done(key)
                    }
                }
            }
            for round in 0..<20 {
                queue.add(contentsOf: 0..<10)
                if round.isMultiple(of: 5) { await Task.yield() }
            }
            _ = await eventually { queue.readyCount == 0 && inWork.count >= 10 }
            queue.shutDown()
        }
        #expect(overlaps.all.isEmpty)
        #expect(Set(inWork.all) == Set(0..<10))
    }
}

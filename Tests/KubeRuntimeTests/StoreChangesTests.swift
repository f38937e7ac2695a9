import KubeCore
import KubeTesting
import Testing

@testable import KubeRuntime

struct StoreChangesTests {
    let store = Store(scope: StoreScope(.pods))

    func versioned(_ name: String, _ version: Int, uid: String = "u") -> KubeObject {
        var object = pod(name)
        object.resourceVersion = String(version)
        object.json[path: "metadata", "uid"] = .string(uid + name)
        return object
    }

    @Test func `a consumer gets what is there and then every change, in order`() async {
        store.replace(with: [versioned("a", 1)])
        var changes = store.changes(replaying: true).makeAsyncIterator()
        store.apply(WatchEvent(.modified, versioned("a", 2)))
        store.apply(WatchEvent(.deleted, versioned("a", 3)))
        let replay = await changes.next()
        #expect(replay?.isReplay == true && replay?.changes == [.added(versioned("a", 1))])
        let batch = await changes.next()
        #expect(batch?.isReplay == false && batch?.isComplete == true)
        #expect(
            batch?.changes == [
                .updated(from: versioned("a", 1), to: versioned("a", 2)), .deleted(versioned("a", 3)),
            ])
    }

    @Test func `what a slow consumer does not take is bounded by the objects, and it is told so`() async {
        let changes = store.changes(capacity: 10)
        for version in 1...10_000 {
            store.apply(WatchEvent(.modified, versioned("p\(version % 5)", version)))
        }
        var iterator = changes.makeAsyncIterator()
        let batch = await iterator.next()
        #expect(batch?.isComplete == false)
        #expect((batch?.changes.count ?? .max) <= 11)
        var last: [String: String] = [:]
        for case .added(let object) in batch?.changes ?? [] { last[object.name] = object.resourceVersion }
        for case .updated(_, let object) in batch?.changes ?? [] { last[object.name] = object.resourceVersion }
        #expect(last == Dictionary(uniqueKeysWithValues: store.list().map { ($0.name, $0.resourceVersion) }))
    }

    @Test func `a consumer that goes leaves nothing behind`() async {
        let task = Task { [store] in for await _ in store.changes() {} }
        #expect(await eventually { store.consumerCount == 1 })
        task.cancel()
        await task.value
        #expect(await eventually { store.consumerCount == 0 })
        do {
            let changes = store.changes()
            #expect(store.consumerCount == 1)
            _ = changes
        }
        #expect(await eventually { store.consumerCount == 0 })
    }

    /// Whatever was joined, a consumer that plays the changes has what the store has, and never sees one start from a state
    /// that the one before did not leave.
    @Test(arguments: 0..<100 as Range<UInt64>)
    func `played changes give the store's state`(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var log = ChangeLog(capacity: Int.random(in: 1..<20, using: &random))
        var truth: [ObjectKey: KubeObject] = [:]
        var played: [ObjectKey: KubeObject] = [:]
        var version = 0
        func play() {
            for change in log.take()?.changes ?? [] {
                switch change {
                case .added(let object):
                    #expect(played[object.key] == nil, "seed \(seed)")
                    played[object.key] = object
                case .updated(let old, let new):
                    #expect(played[old.key] == old && old.uid == new.uid, "seed \(seed)")
                    played[new.key] = new
                case .deleted(let object):
                    #expect(played[object.key]?.uid == object.uid, "seed \(seed)")
                    played[object.key] = nil
                }
            }
            #expect(played == truth, "seed \(seed)")
        }
        for _ in 0..<300 {
            version += 1
            let name = "p\(Int.random(in: 0..<6, using: &random))"
            let key = ObjectKey(namespace: "shop", name: name)
            if let old = truth[key] {
                if Bool.random(using: &random) {
                    let new = versioned(name, version, uid: String(old.uid.dropLast(name.count)))
                    log.append(.updated(from: old, to: new))
                    truth[key] = new
                } else {
                    log.append(.deleted(old))
                    truth[key] = nil
                }
            } else {
                let new = versioned(name, version, uid: "v\(version)-")
                log.append(.added(new))
                truth[key] = new
            }
            if Int.random(in: 0..<40, using: &random) == 0 { play() }
        }
        play()
    }
}

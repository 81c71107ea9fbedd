//! Those who begin the same at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const NEWCOMERS: usize = 50;

/// A beginning whose first page is given when it is told to, and how many have read it.
struct Scene {
    fanout: Fanout,
    reads: Arc<AtomicUsize>,
    /// The first page of everybody.
    page: watch::Sender<Option<usize>>,
    /// Whether something has happened since.
    more: watch::Sender<bool>,
}

impl Scene {
    fn new() -> Self {
        Self {
            fanout: Fanout::default(),
            reads: Arc::default(),
            page: watch::channel(None).0,
            more: watch::channel(false).0,
        }
    }

    /// Subscribes: one frame of so many bytes as the page says, and then another.
    fn newcomer(&self) -> Arc<Outbox> {
        let outbox = Outbox::new(100);
        let lane = begin(&outbox, "a").unwrap_or_else(|error| panic!("{error:?}"));
        let (reads, mut page, mut more) = (Arc::clone(&self.reads), self.page.subscribe(), self.more.subscribe());
        let source = move || {
            reads.fetch_add(1, Ordering::Relaxed);
            let track = Arc::new(Track::default());
            let told = Arc::clone(&track);
            let first = async move {
                let bytes = page.wait_for(Option::is_some).await.ok().and_then(|page| *page).unwrap_or(0);
                let shown = Shown { position: Some(1), shows: Shows::Every };
                Ok(Frame { body: "x".repeat(bytes), shown })
            };
            let second = async move {
                told.reached(Some(Place { seen: 1, live: true }));
                drop(more.wait_for(|more| *more).await);
                Ok(Frame { body: String::new(), shown: Shown { position: Some(2), shows: Shows::Every } })
            };
            Source::new(stream::once(first).chain(stream::once(second)).chain(stream::pending()).boxed(), track)
        };
        lane.spawn(fill(0, source, lane.clone(), self.fanout.clone()));
        outbox
    }

    fn newcomers(&self) -> Vec<Arc<Outbox>> {
        (0..NEWCOMERS).map(|_| self.newcomer()).collect()
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

async fn rest() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn all_got_the_page(outboxes: &[Arc<Outbox>]) {
    for outbox in outboxes {
        let taken = timeout(WITHIN, outbox.take(ROOMY)).await;
        assert_eq!(words(taken.unwrap_or_else(|_| panic!("nothing comes"))), ["a@1"]);
    }
}

#[tokio::test]
async fn one_reads_for_those_who_came_before_it_began() {
    let scene = Scene::new();
    let first = scene.newcomers();
    rest().await;
    assert_eq!(scene.reads(), 1, "nobody knew of the others when the first one came");
    scene.page.send_replace(Some(40));
    all_got_the_page(&first).await;
    // The others came while it was being read, when it may have been older than what they knew.
    assert_eq!(scene.reads(), 2);
    let later = scene.newcomer();
    all_got_the_page(&[later]).await;
    assert_eq!(scene.reads(), 3, "a page that was read is nothing for who comes later");
}

#[tokio::test]
async fn another_leads_when_the_first_goes() {
    let scene = Scene::new();
    let mut all = scene.newcomers();
    for reads in 1..=3 {
        rest().await;
        assert_eq!(scene.reads(), reads);
        all.remove(0).close();
    }
    rest().await;
    scene.page.send_replace(Some(40));
    all_got_the_page(&all).await;
    assert_eq!(scene.reads(), 4);
}

#[tokio::test]
async fn what_is_too_much_to_begin_with_each_reads_alone() {
    let scene = Scene::new();
    let all = scene.newcomers();
    scene.page.send_replace(Some(51));
    all_got_the_page(&all).await;
    assert_eq!(scene.reads(), NEWCOMERS);
}

#[tokio::test]
async fn who_follows_is_given_its_opening_once_and_what_comes_then() {
    let scene = Scene::new();
    let all = scene.newcomers();
    rest().await;
    scene.page.send_replace(Some(40));
    rest().await;
    scene.more.send_replace(true);
    for outbox in &all {
        let mut got = Vec::new();
        while got.len() < 2 {
            let taken = timeout(WITHIN, outbox.take(ROOMY)).await;
            got.extend(words(taken.unwrap_or_else(|_| panic!("nothing follows {got:?}"))));
        }
        assert_eq!(got, ["a@1", "a@2"]);
    }
    assert_eq!(scene.reads(), 2);
}

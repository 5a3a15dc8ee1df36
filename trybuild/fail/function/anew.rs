//! What a retried call cannot begin anew.

use apiguard::{Error, guarded};

type Outcome = Result<u32, Error<std::io::Error>>;

#[derive(Clone)]
struct Counter(u32);

impl Counter {
    #[guarded(retries = 3)]
    async fn by_value(mut self) -> Outcome {
        self.0 += 1;
        Ok(self.0)
    }

    #[guarded(retries = 3)]
    async fn in_a_box(mut self: Box<Self>) -> Outcome {
        self.0 += 1;
        Ok(self.0)
    }

    #[guarded(breaker = 3)]
    async fn once(mut self) -> Outcome {
        self.0 += 1;
        Ok(self.0)
    }
}

#[guarded(retries = 3)]
async fn reference((ref mut first, _): (u32, u32)) -> Outcome {
    *first += 1;
    Ok(*first)
}

fn main() {
    let _ = (Counter(1).by_value(), Box::new(Counter(1)).in_a_box(), Counter(1).once(), reference((1, 2)));
}

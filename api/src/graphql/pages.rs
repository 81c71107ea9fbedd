//! Pages after the Relay specification: `first`/`after`, `last`/`before`, opaque cursors.

use std::borrow::Cow;

use async_graphql::connection::PageInfo;
use async_graphql::{Context, ContextSelectionSet, Object, OutputType, Result, SimpleObject, TypeName};
use domain::Position;
use projections::models::Scroll;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::direct::{Chosen, Column, Plain, selected, stored};
use crate::cursor::{CursorError, Cursors};
use crate::error::{bad_input, internal};
use crate::limits::Limits;

/// Longest page that can be allowed ([`Limits::page_size`]), so that one answer stays within what memory and time allow.
pub(crate) const PAGE_MAX: i32 = 1_000;
/// Nodes on a page where nothing is said.
pub(crate) const PAGE_DEFAULT: i32 = 20;

/// A page of a list. Own types instead of the executor's, whose connections say nothing about themselves.
pub(crate) struct Connection<N: OutputType> {
    edges: Vec<Edge<N>>,
    previous: bool,
    next: bool,
}

/// An element of a list, with its place.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub(crate) struct Edge<N: OutputType> {
    /// The place of the element: goes into `after` or `before` of the next page.
    // Empty where it is not asked for.
    cursor: String,
    /// The element.
    node: N,
}

impl<N: OutputType> TypeName for Edge<N> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", N::type_name()).into()
    }
}

impl<N: OutputType> TypeName for Connection<N> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", N::type_name()).into()
    }
}

impl<N: OutputType> Connection<N> {
    /// A page without anything, of a list without anything.
    pub(crate) fn empty() -> Self {
        Self { edges: Vec::new(), previous: false, next: false }
    }

    fn info(&self) -> PageInfo {
        PageInfo {
            has_previous_page: self.previous,
            has_next_page: self.next,
            start_cursor: self.edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: self.edges.last().map(|edge| edge.cursor.clone()),
        }
    }
}

/// A page of a list, after the Relay specification of cursor connections.
#[Object(name_type)]
impl<N: OutputType> Connection<N> {
    /// The elements of the page, each with its place.
    async fn edges(&self) -> &[Edge<N>] {
        &self.edges
    }

    /// The elements alone.
    async fn nodes(&self) -> Vec<&N> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }

    /// Whether there is more, and where to go on.
    async fn page_info(&self) -> PageInfo {
        self.info()
    }
}

impl<N: Plain + OutputType> Plain for Connection<N> {
    type Shown = Self;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        match field.name() {
            "edges" => field.list(|page| page.edges.as_slice()),
            "nodes" => {
                let fields = field.fields::<N>()?;
                let nodes = move |page: &Self, text: &mut Vec<u8>| {
                    fields.write_all(page.edges.iter().map(|edge| &edge.node), text);
                };
                Some(Column::Inner(Box::new(nodes)))
            }
            "pageInfo" => {
                let fields = field.fields::<PageInfo>()?;
                Some(Column::Inner(Box::new(move |page, text| fields.write(&page.info(), text))))
            }
            _ => None,
        }
    }

    async fn load(pages: &[&Self], context: &ContextSelectionSet<'_>) -> bool {
        let nodes: Vec<&N> = pages.iter().flat_map(|page| page.edges.iter().map(|edge| &edge.node)).collect();
        for field in selected(context, &<Self as OutputType>::type_name()) {
            let inner = context.with_selection_set(&field.node.selection_set);
            let loaded = match field.node.name.node.as_str() {
                "nodes" => N::load(&nodes, &inner).await,
                "edges" => load_edges(&nodes, &inner).await,
                _ => true,
            };
            if !loaded {
                return false;
            }
        }
        true
    }
}

async fn load_edges<N: Plain + OutputType>(nodes: &[&N], context: &ContextSelectionSet<'_>) -> bool {
    for field in selected(context, &<Edge<N> as OutputType>::type_name()) {
        if field.node.name.node == "node" {
            let inner = context.with_selection_set(&field.node.selection_set);
            if !N::load(nodes, &inner).await {
                return false;
            }
        }
    }
    true
}

impl<N: Plain + OutputType> Plain for Edge<N> {
    type Shown = Self;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        match field.name() {
            "node" => field.one(|edge| &edge.node),
            _ => stored!(field, { "cursor": cursor }),
        }
    }
}

impl Plain for PageInfo {
    type Shown = Self;

    fn column(field: &Chosen<'_>) -> Option<Column<Self>> {
        stored!(field, {
            "hasPreviousPage": has_previous_page, "hasNextPage": has_next_page,
            "startCursor": start_cursor, "endCursor": end_cursor,
        })
    }
}

/// The arguments of a connection.
#[derive(Debug, Default)]
pub(crate) struct PageArgs {
    pub(crate) first: Option<i32>,
    pub(crate) after: Option<String>,
    pub(crate) last: Option<i32>,
    pub(crate) before: Option<String>,
}

/// Which rows to read: one more than asked for, to know whether there are more.
pub(crate) struct PageQuery<K> {
    pub(crate) cursor: Option<K>,
    pub(crate) limit: i64,
    pub(crate) scroll: Scroll,
    scope: &'static str,
}

impl PageArgs {
    /// Checks the arguments.
    pub(crate) fn query<K: DeserializeOwned>(self, context: &Context<'_>, scope: &'static str) -> Result<PageQuery<K>> {
        let (count, field, cursor, scroll) = match (self.first, self.last) {
            (Some(_), Some(_)) => return Err(bad_input("last", "PAGE_AMBIGUOUS", "not together with first")),
            (first, None) => {
                if self.before.is_some() {
                    return Err(bad_input("before", "PAGE_AMBIGUOUS", "only together with last"));
                }
                (first.unwrap_or(PAGE_DEFAULT), "first", self.after.map(|cursor| ("after", cursor)), Scroll::Forward)
            }
            (None, Some(last)) => {
                if self.after.is_some() {
                    return Err(bad_input("after", "PAGE_AMBIGUOUS", "only together with first"));
                }
                (last, "last", self.before.map(|cursor| ("before", cursor)), Scroll::Backward)
            }
        };
        let count = count_of(context, field, count)?;
        let cursors = context.data::<Cursors>()?;
        let cursor = cursor.map(|(field, cursor)| place(cursors, scope, field, &cursor)).transpose()?;
        Ok(PageQuery { cursor, limit: i64::from(count) + 1, scroll, scope })
    }
}

/// Checks how many elements are asked for.
pub(crate) fn count_of(context: &Context<'_>, field: &str, count: i32) -> Result<i32> {
    let most = page_max(context);
    if (1..=most).contains(&count) {
        Ok(count)
    } else {
        Err(bad_input(field, "PAGE_SIZE", format!("from 1 to {most}")))
    }
}

/// Most elements that may be asked for here.
pub(crate) fn page_max(context: &Context<'_>) -> i32 {
    let allowed =
        context.data_opt::<Limits>().map_or(PAGE_MAX, |limits| i32::try_from(limits.page_size).unwrap_or(PAGE_MAX));
    allowed.clamp(1, PAGE_MAX)
}

/// The place a page cursor stands for.
fn place<K: DeserializeOwned>(cursors: &Cursors, scope: &str, field: &str, cursor: &str) -> Result<K> {
    let opened = cursors.open(scope, cursor).map_err(|error| bad_cursor(field, error))?;
    serde_json::from_slice(&opened).map_err(|_| bad_cursor(field, CursorError::Invalid))
}

/// The place in the log that a subscription goes on from.
pub(crate) fn resume(context: &Context<'_>, scope: &str, after: Option<String>) -> Result<Option<Position>> {
    let cursors = context.data::<Cursors>()?;
    after.map(|after| cursors.position(scope, &after).map_err(|error| bad_cursor("after", error))).transpose()
}

/// A cursor that can't be used here, as a client sees it.
pub(crate) fn bad_cursor(field: &str, error: CursorError) -> async_graphql::Error {
    bad_input(field, error.reason(), error)
}

impl<K: Serialize> PageQuery<K> {
    /// The connection of the rows that were read.
    pub(crate) fn connection<R, N: OutputType>(
        &self,
        context: &Context<'_>,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> K,
        node: impl Fn(R) -> N,
    ) -> Result<Connection<N>> {
        let wanted = usize::try_from(self.limit - 1).unwrap_or(0);
        let more = rows.len() > wanted;
        if more {
            match self.scroll {
                Scroll::Forward => rows.truncate(wanted),
                Scroll::Backward => drop(rows.drain(..rows.len() - wanted)),
            }
        }
        // What is on the side one came from is not looked at, as the specification allows.
        let (previous, next) = match self.scroll {
            Scroll::Forward => (self.cursor.is_some(), more),
            Scroll::Backward => (more, self.cursor.is_some()),
        };
        let cursors = context.data::<Cursors>()?;
        let page = context.look_ahead();
        // To sign a cursor costs as much as to write the rest of a small row.
        let shown = page.field("edges").field("cursor").exists() || page.field("pageInfo").exists();
        let mut edges = Vec::with_capacity(rows.len());
        for row in rows {
            let mut cursor = String::new();
            if shown {
                let key = serde_json::to_vec(&key(&row)).map_err(|error| internal(&error))?;
                cursor = cursors.seal(self.scope, &key);
            }
            edges.push(Edge { cursor, node: node(row) });
        }
        Ok(Connection { edges, previous, next })
    }
}

-- Customers, revenue, recency, frequency and monetary value straight from the shop's raw CSV files, written
-- without looking at the models. $files: glob of the daily files, $as_of: last day included.
-- Rules: a line counts once however often it came; a line needs a customer, a price above 0, at most 50 000
-- pieces and no test code; returns are invoices starting with C and the only ones with a negative quantity;
-- products are stock codes that start with five digits, everything else is a charge that is no revenue.
with lines as (
    select distinct *
    from read_csv($files, all_varchar = true, header = true, filename = false)
    where cast(left(InvoiceDate, 10) as date) <= $as_of
),
valid as (
    select
        replace(CustomerID, '.0', '') as customer,
        InvoiceNo as invoice,
        starts_with(InvoiceNo, 'C') as is_return,
        cast(left(InvoiceDate, 10) as date) as day,
        regexp_matches(StockCode, '^[0-9]{5}') as is_product,
        round(cast(Quantity as decimal(18, 3)) * cast(UnitPrice as decimal(18, 3)), 2) as amount
    from lines
    where coalesce(CustomerID, '') <> ''
        and cast(UnitPrice as double) > 0
        and abs(cast(Quantity as double)) <= 50000
        and starts_with(InvoiceNo, 'C') = (cast(Quantity as double) < 0)
        and not starts_with(StockCode, 'TEST')
)
select
    customer,
    max(case when is_product and not is_return then day end) as last_order,
    count(distinct case when is_product and not is_return then invoice end) as frequency,
    cast(coalesce(sum(case when is_product then amount end), 0) as decimal(18, 2)) as monetary
from valid
group by customer
order by customer
